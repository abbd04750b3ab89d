#include "app/watchdog.h"

static void on_tick(uv_timer_t *timer)
{
    struct watchdog *watchdog = timer->data;
    struct crew *crew = watchdog->crew;
    bool all = true;

    for (unsigned i = 0; i < crew->count; i++)
        all = worker_answered(&crew->workers[i]) && all;
    if (all)
        watchdog->alive(watchdog->arg);
    for (unsigned i = 0; i < crew->count; i++)
        worker_ask(&crew->workers[i]);
}

void watchdog_start(struct watchdog *watchdog, uv_loop_t *loop, struct crew *crew,
                    uint64_t interval, void (*alive)(void *arg), void *arg)
{
    *watchdog = (struct watchdog){.crew = crew, .alive = alive, .arg = arg};
    uv_timer_init(loop, &watchdog->timer);
    watchdog->timer.data = watchdog;
    if (interval > 0) /* a third: one tick may fall through */
        uv_timer_start(&watchdog->timer, on_tick, interval / 3 + 1, interval / 3 + 1);
}

void watchdog_stop(struct watchdog *watchdog)
{
    uv_close((uv_handle_t *)&watchdog->timer, NULL);
}
