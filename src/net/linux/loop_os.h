/* The Linux loop: one epoll instance that every socket of the relay is registered with once, edge
 * triggered, and that libuv's own descriptor sits in. libuv keeps timers, name look-ups, signals
 * and wake-ups; the sockets never pass through it, so that a byte costs one epoll_wait, one read
 * and one write. */
#ifndef HVRELAY_NET_LINUX_LOOP_OS_H
#define HVRELAY_NET_LINUX_LOOP_OS_H

#include <stdbool.h>
#include <sys/epoll.h>

enum { LOOP_EVENTS = 128 }; /* handled in one turn */

/* Something registered with the loop; embedded by its owner. */
struct watch {
    void (*event)(struct watch *watch, uint32_t events);
};

struct loop {
    uv_loop_t uv;
    struct timers timers;
    struct list tasks;
    struct watch libuv;
    int epoll;
    bool stopping;
    bool yielded;      /* a task has asked for the sockets' turn */
    bool libuv_ready;  /* its descriptor has events, or something was started meanwhile */
    int event, events; /* the turn's events: the next one to handle, and how many there are */
    struct epoll_event turn[LOOP_EVENTS];
};

/* Called by a task that has taken long: the sockets are looked at before the next task. */
static inline void loop_yield(struct loop *loop)
{
    loop->yielded = true;
}

/* Registers a descriptor; `events` as for epoll_ctl. Returns 0 or a libuv error number. */
int loop_watch(struct loop *loop, int fd, uint32_t events, struct watch *watch);

/* Takes the descriptor out. No event comes any more, not even one of this turn. The descriptor
 * must still be open: a duplicate elsewhere would keep the registration alive. */
void loop_unwatch(struct loop *loop, int fd, struct watch *watch);

/* Takes one of several descriptors out that share the watch. Events of this turn still come, those
 * of this descriptor too: edge-triggered ones of the others would not come again. */
void loop_unwatch_one(struct loop *loop, int fd);

/* As loop_unwatch for a descriptor whose last reference is about to be closed: the kernel drops
 * the registration by itself, one system call saved. */
void loop_forget(struct loop *loop, struct watch *watch);

#endif
