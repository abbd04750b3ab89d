/* Deadlines: one wheel a loop, driven by one libuv timer that sleeps until the next slot in use.
 *
 * Setting and clearing cost a few pointer writes and no system call, need no memory, and nothing
 * has to be closed: a session has several. A timer fires at most TIMER_GRAIN ms late, never early.
 */
#ifndef HVRELAY_NET_TIMER_H
#define HVRELAY_NET_TIMER_H

#include "base/list.h"

#include <stdint.h>
#include <uv.h>

enum { TIMER_GRAIN = 8, TIMER_SLOTS = 256 };

struct timer {
    struct list link; /* self-linked where not set */
    uint64_t due;     /* loop time, ms */
    void (*fire)(struct timer *timer);
};

struct timers {
    uv_timer_t handle;
    uint64_t tick;  /* the first slot number not yet visited */
    uint64_t armed; /* the slot number the handle waits for, or UINT64_MAX */
    uint64_t count; /* timers set */
    struct list slots[TIMER_SLOTS];
};

int timers_init(struct timers *timers, uv_loop_t *loop);
void timers_close(struct timers *timers); /* the handle closes as the loop runs on */

static inline void timer_init(struct timer *timer, void (*fire)(struct timer *))
{
    list_init(&timer->link);
    timer->fire = fire;
}

/* Fires once, `delay` ms from the loop's now; replaces an earlier setting. */
void timer_set(struct timers *timers, struct timer *timer, uint64_t delay);
void timer_clear(struct timers *timers, struct timer *timer);

#endif
