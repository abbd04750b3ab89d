/* What a reload does to the forwards: found once, as a list of differences; then all of it that can
 * fail is done, or undone; then the rest, which can't fail. */

#include "app/retired.h"
#include "app/roster_inside.h"
#include "net/address.h"

#include <stdlib.h>
#include <string.h>

/* One forward of the new configuration. */
struct difference {
    const struct forward_config *config;
    const struct post *same;     /* the one of that name that is in service; NULL: it is new */
    struct listener *taken_over; /* open for that endpoint already; NULL: one has to be opened */
    bool overlaps;               /* ... where one that goes away listens */
    bool adjusted;               /* its listener has new options, and can be given the old ones */
    struct post post;            /* what it becomes */
};

struct roster_change {
    struct roster *roster;
    uint64_t drain_timeout;
    struct difference *differences;
    struct post *posts; /* room for the new ones */
    size_t count;
    struct retired **retired; /* by the old posts: the forwards that go */
    struct listener **leaving;
    size_t leaving_count;
};

/* --- the list --- */

static struct post *post_by_name(const struct roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (strcmp(roster->posts[i].forward->name, name) == 0)
            return &roster->posts[i];
    }
    return NULL;
}

static bool is_any_port(const struct endpoint *endpoint)
{
    return endpoint->family == FAMILY_TCP && endpoint->u.tcp.port == 0;
}

static bool listens_on(const struct post *post, const struct endpoint *listen)
{
    return post->listener && endpoint_equal(post_listen(post), listen) &&
           listener_is_intact(post->listener);
}

/* The socket that is open for this endpoint already: the forward's own, or one that changes hands.
 * Port 0 is any port: what is open for one forward's is not what another one asks for. */
static struct listener *find_open(const struct roster *roster, const struct post *same,
                                  const struct endpoint *listen)
{
    if (same && listens_on(same, listen))
        return same->listener;
    for (size_t i = 0; i < roster->count && !is_any_port(listen); i++) {
        if (listens_on(&roster->posts[i], listen))
            return roster->posts[i].listener;
    }
    return NULL;
}

static bool is_taken_over(const struct roster_change *change, const struct listener *listener)
{
    for (size_t i = 0; i < change->count; i++) {
        if (change->differences[i].taken_over == listener)
            return true;
    }
    return false;
}

static void find_leaving(struct roster_change *change)
{
    const struct roster *roster = change->roster;

    for (size_t i = 0; i < roster->count; i++) {
        if (roster->posts[i].listener && !is_taken_over(change, roster->posts[i].listener))
            change->leaving[change->leaving_count++] = roster->posts[i].listener;
    }
}

static bool overlaps(const struct roster_change *change, const struct endpoint *listen)
{
    for (size_t i = 0; i < change->leaving_count && listen->family == FAMILY_TCP; i++) {
        const struct endpoint *other = listener_endpoint(change->leaving[i]);

        if (other->family == FAMILY_TCP && other->u.tcp.port == listen->u.tcp.port)
            return true;
    }
    return false;
}

static void find_differences(struct roster_change *change, const struct config *config)
{
    for (size_t i = 0; i < change->count; i++) {
        struct difference *difference = &change->differences[i];

        difference->config = &config->forwards[i];
        difference->same = post_by_name(change->roster, config->forwards[i].name);
        difference->taken_over =
            find_open(change->roster, difference->same, &config->forwards[i].listen);
    }
    find_leaving(change);
    for (size_t i = 0; i < change->count; i++) {
        struct difference *difference = &change->differences[i];

        difference->overlaps =
            !difference->taken_over && overlaps(change, &difference->config->listen);
    }
}

/* --- all that can fail --- */

/* TCP alone comes from anywhere: to allow that, say `allow = all`. */
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

static int out_of_memory(const struct difference *difference, struct err *err)
{
    return err_system(err, UV_ENOMEM, "forward '%s'", difference->config->name);
}

static int make_post(struct roster_change *change, struct difference *difference, struct err *err)
{
    struct post *post = &difference->post;

    post->crew = change->roster->crew;
    post->forward = difference->same ? forward_share(difference->same->forward)
                                     : forward_create(difference->config);
    post->terms = terms_create(difference->config);
    post->gates = calloc(post->crew->count, sizeof(struct gate *));
    if (!post->forward || !post->terms || !post->gates)
        return out_of_memory(difference, err);
    if (difference->taken_over)
        post->listener = listener_share(difference->taken_over);
    return 0;
}

static int make_retired(struct roster_change *change, struct err *err)
{
    const struct roster *roster = change->roster;

    for (size_t i = 0; i < roster->count; i++) {
        struct forward *forward = roster->posts[i].forward;
        bool stays = false;

        for (size_t n = 0; n < change->count; n++)
            stays = stays || change->differences[n].post.forward == forward;
        if (!stays && !(change->retired[i] = retired_create(roster->crew, forward)))
            return err_system(err, UV_ENOMEM, "forward '%s'", forward->name);
    }
    return 0;
}

/* One that has to wait for its VM stays NULL. */
static int open_listener(const struct roster_change *change, struct difference *difference,
                         struct err *err)
{
    const struct forward_config *config = difference->config;
    struct listener **out = &difference->post.listener;
    int status = difference->overlaps
                     ? listener_replace(&config->listen, &config->options, change->leaving,
                                        change->leaving_count, out, err)
                     : listener_open(&config->listen, &config->options, out, err);

    if (status == 0) {
        warn_if_open(config);
        return 0;
    }
    err_prefix(err, "forward '%s'", config->name);
    if (!address_may_come(config->listen.family, err->code))
        return -1;
    log_warning("%s; waiting for it", err->msg);
    return 0;
}

static int open_listeners(struct roster_change *change, bool overlapping, struct err *err)
{
    for (size_t i = 0; i < change->count; i++) {
        struct difference *difference = &change->differences[i];

        if (!difference->taken_over && difference->overlaps == overlapping &&
            open_listener(change, difference, err) != 0)
            return -1;
    }
    return 0;
}

static int make_gates(struct roster_change *change, struct err *err)
{
    for (size_t i = 0; i < change->count; i++) {
        struct difference *difference = &change->differences[i];

        if (difference->post.listener && post_make_gates(&difference->post) != 0)
            return out_of_memory(difference, err);
    }
    return 0;
}

static int adjust_listeners(struct roster_change *change, struct err *err)
{
    for (size_t i = 0; i < change->count; i++) {
        struct difference *difference = &change->differences[i];

        if (!difference->taken_over && !(difference->overlaps && difference->post.listener))
            continue;
        if (listener_adjust(difference->post.listener, &difference->config->options, err) != 0)
            return err_prefix(err, "forward '%s'", difference->config->name);
        difference->adjusted = true;
    }
    return 0;
}

/* What clients could notice comes last: a socket that overlaps one in service takes clients from
 * it, and new modes and options. */
static int prepare(struct roster_change *change, struct err *err)
{
    for (size_t i = 0; i < change->count; i++) {
        if (make_post(change, &change->differences[i], err) != 0)
            return -1;
    }
    if (make_retired(change, err) != 0 || open_listeners(change, false, err) != 0 ||
        open_listeners(change, true, err) != 0 || make_gates(change, err) != 0)
        return -1;
    return adjust_listeners(change, err);
}

static void free_change(struct roster_change *change)
{
    free(change->differences);
    free(change->retired);
    free(change->leaving);
    free(change);
}

/* At least one of each: calloc of none may be NULL. */
static struct roster_change *create_change(struct roster *roster, const struct config *config)
{
    struct roster_change *change = calloc(1, sizeof *change);

    if (!change)
        return NULL;
    change->roster = roster;
    change->drain_timeout = config->drain_timeout;
    change->count = config->count;
    change->differences = calloc(config->count + 1, sizeof *change->differences);
    change->posts = calloc(config->count + 1, sizeof *change->posts);
    change->retired = calloc(roster->count + 1, sizeof(struct retired *));
    change->leaving = calloc(roster->count + 1, sizeof(struct listener *));
    if (change->differences && change->posts && change->retired && change->leaving)
        return change;
    free(change->posts);
    free_change(change);
    return NULL;
}

int roster_prepare(struct roster *roster, const struct config *config, struct roster_change **out,
                   struct err *err)
{
    struct roster_change *change = create_change(roster, config);

    if (!change)
        return err_system(err, UV_ENOMEM, "cannot set up the forwards");
    find_differences(change, config);
    if (prepare(change, err) == 0) {
        *out = change;
        return 0;
    }
    roster_rollback(change);
    return -1;
}

void roster_rollback(struct roster_change *change)
{
    if (!change)
        return;
    for (size_t i = change->count; i-- > 0;) {
        struct difference *difference = &change->differences[i];

        if (difference->adjusted)
            listener_undo(difference->post.listener);
        post_discard_gates(&difference->post);
        post_release(&difference->post);
    }
    for (size_t i = 0; i < change->roster->count; i++)
        retired_discard(change->retired[i]);
    free(change->posts);
    free_change(change);
}

/* --- what can't fail --- */

/* A socket that changes hands is given up by the old gate before the new one takes it; what comes
 * in between waits in its queue. */
static void swap_gates(struct roster_change *change)
{
    struct roster *roster = change->roster;

    for (size_t i = 0; i < change->count; i++) {
        struct post *post = &change->differences[i].post;
        struct post *same = post_by_name(roster, post->forward->name);

        post->forward->single = post->listener && listener_is_single(post->listener);
        forward_take_terms(post->forward, post->terms);
        if (same && same->listener && same->listener == post->listener)
            post_keep_gates(post, same);
    }
    for (size_t i = 0; i < roster->count; i++)
        post_close_gates(&roster->posts[i]);
    for (size_t i = 0; i < change->count; i++) {
        if (change->differences[i].post.listener && !change->differences[i].post.open)
            post_open_gates(&change->differences[i].post);
    }
}

static void swap_posts(struct roster_change *change)
{
    struct roster *roster = change->roster;
    size_t old_count = roster->count;

    for (size_t i = 0; i < change->count; i++)
        change->posts[i] = change->differences[i].post;
    roster_release_posts(roster->posts, old_count);
    roster->posts = change->posts;
    roster->count = change->count;
    if (old_count > 0) /* the next reload finds closed what closes here */
        crew_settle(roster->crew);
    for (size_t i = 0; i < old_count; i++) {
        if (change->retired[i])
            retired_begin(change->retired[i], roster->loop, change->drain_timeout,
                          &roster->retired);
    }
}

void roster_commit(struct roster_change *change)
{
    swap_gates(change);
    swap_posts(change);
    roster_plan_retry(change->roster);
    free_change(change);
}
