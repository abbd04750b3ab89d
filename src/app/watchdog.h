/* Tells at intervals that the program is alive: that every worker has gone through its loop since
 * the last time, not only that the main thread has. */
#ifndef HVRELAY_APP_WATCHDOG_H
#define HVRELAY_APP_WATCHDOG_H

#include "session/worker.h"

struct watchdog {
    uv_timer_t timer;
    struct crew *crew;
    void (*alive)(void *arg);
    void *arg;
};

/* `interval`, in ms, is how often it has to be told at least; 0: nobody listens, it does
 * nothing. */
void watchdog_start(struct watchdog *watchdog, uv_loop_t *loop, struct crew *crew,
                    uint64_t interval, void (*alive)(void *arg), void *arg);
void watchdog_stop(struct watchdog *watchdog);

#endif
