/* Deadlines: one wheel of several levels a loop, driven by one libuv timer that sleeps until the
 * next slot in use.
 *
 * Setting and clearing cost a few pointer writes and no system call, need no memory, and nothing
 * has to be closed: a session has several. A timer never fires early. It fires at most TIMER_GRAIN
 * ms late, or 1/64 of its delay if that is more, but no more than TIMER_MOST_LATE ms: long ones
 * that are due at about the same time share a wake-up.
 *
 * A slot of a higher level spans all slots of the level below. Its timers move down when its time
 * begins, so a timer that is hours away wakes nobody until then.
 */
#ifndef HVRELAY_NET_TIMER_H
#define HVRELAY_NET_TIMER_H

#include "base/list.h"

#include <stdint.h>
#include <uv.h>

enum {
    TIMER_GRAIN = 8,        /* ms: a tick */
    TIMER_MOST_LATE = 1024, /* ms */
    TIMER_BITS = 6,         /* of a tick's number, a level */
    TIMER_SLOTS = 1 << TIMER_BITS,
    TIMER_LEVELS = 7, /* more than a thousand years */
};

struct timer {
    struct list link; /* self-linked where not set */
    uint64_t due;     /* the tick at whose begin it fires */
    void (*fire)(struct timer *timer);
};

struct timers {
    uv_timer_t handle;
    uint64_t tick;  /* all up to this one have been visited */
    uint64_t armed; /* the tick the handle waits for, or UINT64_MAX; 0 while ticks are visited */
    uint64_t count; /* timers set */
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
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
