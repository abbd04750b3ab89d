/* The inside of a roster, for its two files. */
#ifndef HVRELAY_APP_ROSTER_INSIDE_H
#define HVRELAY_APP_ROSTER_INSIDE_H

#include "app/post.h"
#include "app/roster.h"

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

void roster_release_posts(struct post *posts, size_t count);

/* Begins to try again what can't be opened yet. */
void roster_plan_retry(struct roster *roster);

#endif
