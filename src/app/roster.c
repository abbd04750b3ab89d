#include "app/roster.h"

#include "app/post.h"
#include "net/address.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PAUSE = 250, LONGEST_PAUSE = 30000 }; /* ms between attempts to listen */

/* A forward that the configuration no longer has: its sessions may end by themselves for a while.
 */
struct retired {
    uv_timer_t timer;
    struct list link;
    struct roster *roster;
    struct forward *forward;
};

struct roster {
    uv_loop_t *loop;
    struct crew *crew;
    struct post *posts;
    size_t count;
    struct list retired;
    uv_timer_t retry; /* for the listeners that can't be opened yet */
    uint64_t pause;
    bool stopped;
};

struct roster *roster_create(uv_loop_t *loop, struct crew *crew)
{
    struct roster *roster = calloc(1, sizeof *roster);

    if (!roster)
        return NULL;
    roster->loop = loop;
    roster->crew = crew;
    list_init(&roster->retired);
    uv_timer_init(loop, &roster->retry);
    roster->retry.data = roster;
    return roster;
}

static void release_posts(struct post *posts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        post_release(&posts[i]);
    free(posts);
}

static struct post *post_by_name(const struct roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (strcmp(roster->posts[i].forward->name, name) == 0)
            return &roster->posts[i];
    }
    return NULL;
}

/* The socket that is open for this endpoint already: the forward's own, or one that changes hands.
 * Port 0 is any port: what is open for one forward's is not what another one asks for. */
static struct listener *open_listener(const struct roster *roster,
                                      const struct forward_config *config)
{
    const struct endpoint *listen = &config->listen;
    const struct post *own = post_by_name(roster, config->name);

    if (own && own->listener && endpoint_equal(post_listen(own), listen))
        return own->listener;
    if (listen->family == FAMILY_TCP && listen->u.tcp.port == 0)
        return NULL;
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->posts[i].listener && endpoint_equal(post_listen(&roster->posts[i]), listen))
            return roster->posts[i].listener;
    }
    return NULL;
}

/* TCP alone comes from anywhere; whoever wants that says `allow = all`. */
static void warn_if_open(const struct forward_config *config)
{
    char text[ENDPOINT_TEXT];

    if (config->listen.family != FAMILY_TCP || endpoint_is_loopback(&config->listen) ||
        access_has_allow(&config->access))
        return;
    endpoint_format(&config->listen, text, sizeof text);
    log_warning("forward '%s': '%s' is open to the network: say with 'allow' who may come",
                config->name, text);
}

/* Opens the listener, or finds it open. One that has to wait for its VM stays NULL. */
static int find_listener(struct roster *roster, const struct forward_config *config,
                         struct listener **out, struct err *err)
{
    struct listener *open = open_listener(roster, config);

    *out = NULL;
    if (open) {
        *out = listener_share(open);
        return 0;
    }
    if (listener_open(&config->listen, &config->options, out, err) == 0) {
        warn_if_open(config);
        return 0;
    }
    err_prefix(err, "forward '%s'", config->name);
    if (!address_may_come(config->listen.family, err->code))
        return -1;
    log_warning("%s; waiting for it", err->msg);
    return 0;
}

/* All of a post that can fail; its gates are opened once all posts are made. */
static int make_post(struct roster *roster, const struct forward_config *config, struct post *out,
                     struct err *err)
{
    const struct post *old = post_by_name(roster, config->name);

    *out = (struct post){.crew = roster->crew};
    out->forward = old ? forward_share(old->forward) : forward_create(config);
    out->terms = terms_create(config);
    out->gates = calloc(roster->crew->count, sizeof(struct gate *));
    if (!out->forward || !out->terms || !out->gates)
        return err_system(err, UV_ENOMEM, "forward '%s'", config->name);
    if (find_listener(roster, config, &out->listener, err) != 0)
        return -1;
    if (out->listener && post_make_gates(out) != 0)
        return err_system(err, UV_ENOMEM, "forward '%s'", config->name);
    out->forward->single = out->listener && listener_is_single(out->listener);
    return 0;
}

static void on_retired_closed(uv_handle_t *handle)
{
    struct retired *retired = handle->data;

    forward_release(retired->forward);
    free(retired);
}

static void end_retired(struct retired *retired)
{
    list_remove(&retired->link);
    uv_close((uv_handle_t *)&retired->timer, on_retired_closed);
}

static void on_retired_timeout(uv_timer_t *timer)
{
    struct retired *retired = timer->data;
    struct crew *crew = retired->roster->crew;

    for (unsigned i = 0; i < crew->count; i++) {
        if (worker_abort_forward(&crew->workers[i], retired->forward,
                                 "drain_timeout: its forward was removed by a reload") != 0)
            log_error("forward '%s': not enough memory to end its sessions",
                      retired->forward->name);
    }
    end_retired(retired);
}

static void retire(struct roster *roster, struct forward *forward, uint64_t drain_timeout)
{
    struct retired *retired;

    log_info("forward '%s': removed, %u sessions may end", forward->name,
             atomic_load(&forward->sessions));
    if (drain_timeout == 0 || atomic_load(&forward->sessions) == 0)
        return;
    retired = calloc(1, sizeof *retired);
    if (!retired)
        return; /* its sessions end by themselves, whenever that is */
    retired->roster = roster;
    retired->forward = forward_share(forward);
    retired->timer.data = retired;
    uv_timer_init(roster->loop, &retired->timer);
    uv_timer_start(&retired->timer, on_retired_timeout, drain_timeout, 0);
    list_append(&roster->retired, &retired->link);
}

static uint64_t with_jitter(uint64_t pause)
{
    uint32_t random = 0;

    uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    return pause / 2 + random % (pause / 2 + 1);
}

static void on_retry(uv_timer_t *timer);

static void plan_retry(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (!roster->posts[i].listener) {
            uv_timer_start(&roster->retry, on_retry, with_jitter(roster->pause), 0);
            return;
        }
    }
}

/* There was no memory for its gates: the next attempt opens it again. */
static void close_listener(struct post *post)
{
    post_discard_gates(post);
    listener_release(post->listener);
    post->listener = NULL;
}

static void on_retry(uv_timer_t *timer)
{
    struct roster *roster = timer->data;
    char text[ENDPOINT_TEXT];
    struct err err;

    for (size_t i = 0; i < roster->count; i++) {
        struct post *post = &roster->posts[i];

        if (post->listener || listener_open(post_listen(post), &post->terms->config.options,
                                            &post->listener, &err) != 0)
            continue;
        if (post_make_gates(post) != 0) {
            close_listener(post);
            continue;
        }
        endpoint_format(listener_endpoint(post->listener), text, sizeof text);
        log_info("forward '%s': listening on %s now", post->forward->name, text);
        post_open_gates(post);
    }
    if (roster->pause < LONGEST_PAUSE)
        roster->pause = roster->pause * 2 < LONGEST_PAUSE ? roster->pause * 2 : LONGEST_PAUSE;
    plan_retry(roster);
}

static bool is_kept(const struct forward *forward, const struct post *posts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (posts[i].forward == forward)
            return true;
    }
    return false;
}

/* From here on nothing fails: the new posts replace the old ones. A socket that changes hands is
 * given up by the old gate before the new one takes it; what comes in between waits in its queue.
 */
static void replace(struct roster *roster, struct post *posts, size_t count, uint64_t drain_timeout)
{
    for (size_t i = 0; i < count; i++) {
        struct post *old = post_by_name(roster, posts[i].forward->name);

        if (old && old->listener && old->listener == posts[i].listener)
            post_keep_gates(&posts[i], old);
    }
    for (size_t i = 0; i < roster->count; i++) {
        post_close_gates(&roster->posts[i]);
        if (!is_kept(roster->posts[i].forward, posts, count))
            retire(roster, roster->posts[i].forward, drain_timeout);
    }
    for (size_t i = 0; i < count; i++) {
        if (posts[i].listener && !posts[i].open)
            post_open_gates(&posts[i]);
    }
    release_posts(roster->posts, roster->count);
    if (roster->count > 0) /* whoever asks for a reload again will find closed what closes here */
        crew_settle(roster->crew);
    roster->posts = posts;
    roster->count = count;
    roster->pause = FIRST_PAUSE;
    plan_retry(roster);
}

int roster_apply(struct roster *roster, const struct config *config, struct err *err)
{
    struct post *posts = calloc(config->count, sizeof *posts);

    if (!posts)
        return err_system(err, UV_ENOMEM, "cannot set up the forwards");
    for (size_t i = 0; i < config->count; i++) {
        if (make_post(roster, &config->forwards[i], &posts[i], err) != 0) {
            for (size_t made = 0; made <= i; made++)
                post_discard_gates(&posts[made]);
            release_posts(posts, i + 1);
            return -1;
        }
    }
    replace(roster, posts, config->count, config->drain_timeout);
    return 0;
}

void roster_each(const struct roster *roster,
                 void (*call)(void *arg, const char *name, const struct endpoint *listen,
                              const struct endpoint *connect),
                 void *arg)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct post *post = &roster->posts[i];

        if (post->listener)
            call(arg, post->forward->name, listener_endpoint(post->listener),
                 &post->terms->config.connect);
    }
}

bool roster_tell_repeats(const struct roster *roster)
{
    bool any = false;

    for (size_t i = 0; i < roster->count; i++)
        any = forward_tell_repeats(roster->posts[i].forward) || any;
    return any;
}

unsigned roster_sessions(const struct roster *roster)
{
    unsigned sum = 0;

    for (size_t i = 0; i < roster->count; i++)
        sum += atomic_load(&roster->posts[i].forward->sessions);
    return sum;
}

bool roster_all_done(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct forward *forward = roster->posts[i].forward;

        if (!forward->single || atomic_load(&forward->ended) == 0)
            return false;
    }
    return true;
}

bool roster_any_broken(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        const struct forward *forward = roster->posts[i].forward;

        if (forward->single && atomic_load(&forward->broken) > 0)
            return true;
    }
    return false;
}

void roster_stop(struct roster *roster)
{
    if (roster->stopped)
        return;
    roster->stopped = true;
    for (size_t i = 0; i < roster->count; i++) { /* the gates, as they close, release theirs */
        if (roster->posts[i].listener)
            listener_release(roster->posts[i].listener);
        roster->posts[i].listener = NULL;
    }
    uv_close((uv_handle_t *)&roster->retry, NULL);
    while (!list_empty(&roster->retired))
        end_retired(list_entry(roster->retired.next, struct retired, link));
}

void roster_free(struct roster *roster)
{
    release_posts(roster->posts, roster->count);
    free(roster);
}
