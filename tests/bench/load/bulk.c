#include "load.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CHUNK = 128 * 1024, EVENTS = 64 };

static char chunk[CHUNK];

struct bulk {
    const struct plan *plan;
    struct pair *pairs;
    unsigned count;
    int epoll;
    unsigned sending; /* ends that have not stopped */
    uint64_t deadline;
    uint64_t moved;
};

static void watch(const struct bulk *bulk, struct end *end, int operation)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};

    if (!end->stopped)
        event.events |= EPOLLOUT;
    if (epoll_ctl(bulk->epoll, operation, end->fd, &event) != 0)
        die("epoll_ctl failed");
}

static void stop(struct bulk *bulk, struct end *end)
{
    if (end->stopped)
        return;
    end->stopped = true;
    bulk->sending--;
    watch(bulk, end, EPOLL_CTL_MOD);
}

static void send_some(struct bulk *bulk, struct end *end)
{
    uint64_t left = end->mark + bulk->plan->bytes - end->sent;

    if (end->stopped)
        return;
    end->sent += net_send(end->fd, chunk, left < CHUNK ? left : CHUNK);
    if (end->sent == end->mark + bulk->plan->bytes)
        stop(bulk, end);
}

static void receive_some(struct bulk *bulk, struct end *end)
{
    size_t count = net_discard(end->fd);

    end_received(end, count);
    bulk->moved += count;
}

static void begin(struct bulk *bulk)
{
    bulk->epoll = epoll_create1(EPOLL_CLOEXEC);
    bulk->deadline = now_ns() + bulk->plan->ns;
    for (unsigned i = 0; i < bulk->count; i++) {
        struct end *end = bulk->pairs[i].end;

        for (int side = CLIENT; side <= SERVER; side++) {
            end[side].stopped = !(bulk->plan->direction & (side == CLIENT ? UP : DOWN));
            end[side].mark = end[side].sent;
            bulk->sending += !end[side].stopped;
            watch(bulk, &end[side], EPOLL_CTL_ADD);
        }
    }
}

static void stop_all(struct bulk *bulk)
{
    for (unsigned i = 0; i < bulk->count; i++) {
        stop(bulk, &bulk->pairs[i].end[CLIENT]);
        stop(bulk, &bulk->pairs[i].end[SERVER]);
    }
}

static bool all_even(const struct bulk *bulk)
{
    for (unsigned i = 0; i < bulk->count; i++) {
        if (!pair_is_even(&bulk->pairs[i]))
            return false;
    }
    return true;
}

static void turn(struct bulk *bulk)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(bulk->epoll, events, EVENTS, patience);

    if (count <= 0)
        die_of_silence(bulk->pairs, bulk->count);
    for (int i = 0; i < count; i++) {
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            receive_some(bulk, events[i].data.ptr);
        if (events[i].events & EPOLLOUT)
            send_some(bulk, events[i].data.ptr);
    }
}

uint64_t bulk_run(struct pair *pairs, unsigned count, const struct plan *plan)
{
    struct bulk bulk = {.plan = plan, .pairs = pairs, .count = count};

    begin(&bulk);
    while (bulk.sending > 0) {
        turn(&bulk);
        if (now_ns() >= bulk.deadline)
            stop_all(&bulk);
    }
    while (!all_even(&bulk))
        turn(&bulk);
    close(bulk.epoll);
    return bulk.moved;
}

struct share {
    pthread_t thread;
    struct pair *pairs;
    unsigned count;
    const struct plan *plan;
    uint64_t moved;
};

static void *run_share(void *arg)
{
    struct share *share = arg;

    share->moved = bulk_run(share->pairs, share->count, share->plan);
    return NULL;
}

uint64_t bulk_run_threads(struct pair *pairs, unsigned count, const struct plan *plan)
{
    struct share *shares = calloc(plan->threads, sizeof *shares);
    uint64_t moved = 0;

    if (!shares)
        die("out of memory");
    for (unsigned i = 0; i < plan->threads; i++) {
        unsigned first = count * i / plan->threads, next = count * (i + 1) / plan->threads;

        shares[i] = (struct share){.pairs = &pairs[first], .count = next - first, .plan = plan};
        if (pthread_create(&shares[i].thread, NULL, run_share, &shares[i]) != 0)
            die("cannot create a thread");
    }
    for (unsigned i = 0; i < plan->threads; i++) {
        pthread_join(shares[i].thread, NULL);
        moved += shares[i].moved;
    }
    free(shares);
    return moved;
}

uint64_t beside_run(struct pair *pairs, unsigned count, const struct plan *plan,
                    struct samples *samples)
{
    struct share share = {.pairs = pairs + 1, .count = count - 1, .plan = plan};
    uint64_t moved;

    if (pthread_create(&share.thread, NULL, run_share, &share) != 0)
        die("cannot create a thread");
    moved = pingpong_run(pairs, 1, plan, samples);
    pthread_join(share.thread, NULL);
    return moved + share.moved;
}
