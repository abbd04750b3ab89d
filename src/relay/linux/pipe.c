#include "pipe.h"

#include "net/descriptors.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LARGE_PIPE = 1 << 20, /* the most that /proc/sys/fs/pipe-max-size allows by default */
    SMALL_PIPE = 1 << 18,
    /* Of the 64 MiB that a user's pipes may hold together, by default: */
    LARGE_SHARE = 32 << 20, /* up to here pipes are large */
    SHARE = 48 << 20,       /* and up to here small */
    MOST_OPEN = 64,
    MOST_IDLE = 8,
};

static atomic_llong used; /* bytes that all pools' pipes can hold */

void pipe_pool_init(struct pipe_pool *pool)
{
    list_init(&pool->idle);
    pool->count = pool->open = 0;
}

static void pipe_close(struct pipe_pool *pool, struct pipe *pipe)
{
    close(pipe->read_end);
    close(pipe->write_end);
    atomic_fetch_sub(&used, pipe->budget);
    free(pipe);
    descriptors_give(2);
    pool->open--;
}

void pipe_pool_close(struct pipe_pool *pool)
{
    while (!list_empty(&pool->idle)) {
        struct pipe *pipe = list_entry(pool->idle.next, struct pipe, link);

        list_remove(&pipe->link);
        pool->count--;
        pipe_close(pool, pipe);
    }
}

/* Takes so much of a part of the user's share, if it is there. */
static bool budget_take(long long size, long long part)
{
    if (atomic_fetch_add(&used, size) + size <= part)
        return true;
    atomic_fetch_sub(&used, size);
    return false;
}

/* The size of the next pipe, taken from the budget; 0: none. */
static int budget_size(void)
{
    if (budget_take(LARGE_PIPE, LARGE_SHARE))
        return LARGE_PIPE;
    return budget_take(SMALL_PIPE, SHARE) ? SMALL_PIPE : 0;
}

/* Past the user's share the kernel makes smaller pipes and refuses to enlarge them: they work all
 * the same. */
static struct pipe *pipe_open(struct pipe_pool *pool, int size)
{
    struct pipe *pipe = malloc(sizeof *pipe);
    int ends[2];
    int capacity;

    if (!pipe || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(pipe);
        return NULL;
    }
    capacity = fcntl(ends[1], F_SETPIPE_SZ, size);
    if (capacity < 0)
        capacity = fcntl(ends[1], F_GETPIPE_SZ);
    list_init(&pipe->link);
    pipe->read_end = ends[0];
    pipe->write_end = ends[1];
    pipe->capacity = capacity > 0 ? (size_t)capacity : 4096;
    pipe->budget = size;
    pipe->length = 0;
    pool->open++;
    return pipe;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
    struct pipe *pipe;
    int size;

    if (!list_empty(&pool->idle)) {
        pipe = list_entry(pool->idle.prev, struct pipe, link); /* the one most likely in cache */
        list_remove(&pipe->link);
        pool->count--;
        return pipe;
    }
    /* Sessions come before speed: pipes leave them half of the descriptors. */
    if (pool->open >= MOST_OPEN || !descriptors_take(2, descriptors_total() / 2))
        return NULL;
    size = budget_size();
    pipe = size > 0 ? pipe_open(pool, size) : NULL;
    if (!pipe) {
        atomic_fetch_sub(&used, size);
        descriptors_give(2);
    }
    return pipe;
}

void pipe_give(struct pipe_pool *pool, struct pipe *pipe)
{
    bool kept = pipe->length == 0 && pool->count < MOST_IDLE;

    if (kept && pipe->budget == SMALL_PIPE && atomic_load(&used) + LARGE_PIPE <= LARGE_SHARE)
        kept = false; /* the next one can be large */
    if (!kept) {
        pipe_close(pool, pipe);
        return;
    }
    list_append(&pool->idle, &pipe->link);
    pool->count++;
}
