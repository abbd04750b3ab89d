/* One forward in service: its listener, and a gate to it in every worker. Main thread only. */
#ifndef HVRELAY_APP_POST_H
#define HVRELAY_APP_POST_H

#include "session/gate.h"

struct post {
    struct crew *crew;
    struct forward *forward;
    struct terms *terms;
    struct listener *listener; /* NULL while it can't be opened yet */
    struct gate **gates;       /* one per worker, once it listens */
    bool open;                 /* the gates are */
};

static inline const struct endpoint *post_listen(const struct post *post)
{
    return &post->terms->config.listen;
}

/* Makes the gates of a post that listens, closed ones. Returns 0, or -1 where memory is short. */
int post_make_gates(struct post *post);

/* Of gates that were never opened. */
void post_discard_gates(struct post *post);

/* Clients may come. */
void post_open_gates(struct post *post);

/* No more clients; what the gates hold they release when their workers close them. */
void post_close_gates(struct post *post);

/* The gates of a forward that keeps its listener stay open, under the new terms: no client notices.
 * They are `post`'s from here on. */
void post_keep_gates(struct post *post, struct post *old);

/* Gives back what it holds, but for its gates. */
void post_release(struct post *post);

#endif
