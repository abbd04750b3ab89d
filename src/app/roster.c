#include "app/retired.h"
#include "app/roster_inside.h"

#include <stdlib.h>

enum { FIRST_PAUSE = 250, LONGEST_PAUSE = 30000 }; /* ms between attempts to listen */

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

void roster_release_posts(struct post *posts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        post_release(&posts[i]);
    free(posts);
}

static uint64_t with_jitter(uint64_t pause)
{
    uint32_t random = 0;

    uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    return pause / 2 + random % (pause / 2 + 1);
}

static void on_retry(uv_timer_t *timer);

static void plan_attempt(struct roster *roster)
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
    plan_attempt(roster);
}

void roster_plan_retry(struct roster *roster)
{
    roster->pause = FIRST_PAUSE;
    plan_attempt(roster);
}

int roster_apply(struct roster *roster, const struct config *config, struct err *err)
{
    struct roster_change *change;

    if (roster_prepare(roster, config, &change, err) != 0)
        return -1;
    roster_commit(change);
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
        retired_end(list_entry(roster->retired.next, struct retired, link));
}

void roster_free(struct roster *roster)
{
    roster_release_posts(roster->posts, roster->count);
    free(roster);
}
