#include "pipe.h"

#include "net/descriptors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PIPE_SIZE = 1 << 20, /* the most that /proc/sys/fs/pipe-max-size allows by default */
    MOST_OPEN = 64,      /* a user's share of pipe memory, in pipes of that size */
    MOST_IDLE = 8,
};

void pipe_pool_init(struct pipe_pool *pool)
{
    list_init(&pool->idle);
    pool->count = pool->open = 0;
}

static void pipe_close(struct pipe_pool *pool, struct pipe *pipe)
{
    close(pipe->read_end);
    close(pipe->write_end);
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

/* Past the user's share of pipe memory (pipe-user-pages-soft) the kernel makes small pipes and
 * refuses to enlarge them: they work all the same. */
static struct pipe *pipe_open(struct pipe_pool *pool)
{
    struct pipe *pipe = malloc(sizeof *pipe);
    int ends[2];
    int capacity;

    if (!pipe || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(pipe);
        return NULL;
    }
    capacity = fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    if (capacity < 0)
        capacity = fcntl(ends[1], F_GETPIPE_SZ);
    list_init(&pipe->link);
    pipe->read_end = ends[0];
    pipe->write_end = ends[1];
    pipe->capacity = capacity > 0 ? (size_t)capacity : 4096;
    pipe->length = 0;
    pool->open++;
    return pipe;
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
    struct pipe *pipe;

    if (!list_empty(&pool->idle)) {
        pipe = list_entry(pool->idle.prev, struct pipe, link); /* the one most likely in cache */
        list_remove(&pipe->link);
        pool->count--;
        return pipe;
    }
    /* Sessions come before speed: pipes leave them half of the descriptors. */
    if (pool->open >= MOST_OPEN || !descriptors_take(2, descriptors_total() / 2))
        return NULL;
    pipe = pipe_open(pool);
    if (!pipe)
        descriptors_give(2);
    return pipe;
}

void pipe_give(struct pipe_pool *pool, struct pipe *pipe)
{
    if (pipe->length > 0 || pool->count >= MOST_IDLE) {
        pipe_close(pool, pipe);
        return;
    }
    list_append(&pool->idle, &pipe->link);
    pool->count++;
}
