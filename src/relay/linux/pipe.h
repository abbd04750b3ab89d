/* A worker's pool of pipes for splice. A pipe belongs to a direction only while it moves bulk data,
 * so a few of them serve any number of sessions, and an idle session holds none.
 *
 * The kernel limits what a user's pipes hold together (pipe-user-pages-soft), and one with bytes
 * that its receiver does not take stays as it is. So all pools of the process share a budget, a
 * part of that limit: beyond a half pipes are small, and beyond three quarters there are none. */
#ifndef HVRELAY_RELAY_LINUX_PIPE_H
#define HVRELAY_RELAY_LINUX_PIPE_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>

struct pipe {
    struct list link; /* in the pool, while nobody uses it */
    int read_end, write_end;
    size_t capacity; /* bytes */
    size_t length;   /* bytes in it */
    int budget;      /* bytes that it takes of what all pipes may hold together */
};

struct pipe_pool {
    struct list idle;
    int count; /* of idle ones */
    int open;  /* idle or in use */
};

void pipe_pool_init(struct pipe_pool *pool);
void pipe_pool_close(struct pipe_pool *pool);

/* A pipe that is empty, or NULL where the pool or the system has no more. */
struct pipe *pipe_take(struct pipe_pool *pool);

/* Gives it back: a few are kept for the next one, the others closed. So is one that still holds
 * data: it must never reach another session. */
void pipe_give(struct pipe_pool *pool, struct pipe *pipe);

#endif
