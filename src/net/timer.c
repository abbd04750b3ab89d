#include "net/timer.h"

#include <stdbool.h>

static const uint64_t never = UINT64_MAX;

static void on_tick(uv_timer_t *handle);

int timers_init(struct timers *timers, uv_loop_t *loop)
{
    for (int i = 0; i < TIMER_SLOTS; i++)
        list_init(&timers->slots[i]);
    timers->tick = uv_now(loop) / TIMER_GRAIN;
    timers->armed = never;
    timers->count = 0;
    timers->handle.data = timers;
    return uv_timer_init(loop, &timers->handle);
}

void timers_close(struct timers *timers)
{
    uv_close((uv_handle_t *)&timers->handle, NULL);
}

/* A slot is visited at its end, when all that is due in it is due. */
static void arm(struct timers *timers, uint64_t slot)
{
    uint64_t now = uv_now(timers->handle.loop);
    uint64_t end = (slot + 1) * TIMER_GRAIN;

    timers->armed = slot;
    uv_timer_start(&timers->handle, on_tick, end > now ? end - now : 0, 0);
}

/* Waits for the next slot that holds anything; what lies further than one turn of the wheel away
 * is met early, found not due, and left for the turns after. */
static void arm_next(struct timers *timers)
{
    timers->armed = never;
    if (timers->count == 0) {
        uv_timer_stop(&timers->handle);
        return;
    }
    for (uint64_t slot = timers->tick;; slot++) {
        if (!list_empty(&timers->slots[slot % TIMER_SLOTS])) {
            arm(timers, slot);
            return;
        }
    }
}

static void visit(struct timers *timers, struct list *slot, uint64_t now)
{
    struct list due;

    list_take(&due, slot);
    while (!list_empty(&due)) {
        struct timer *timer = list_entry(due.next, struct timer, link);

        list_remove(&timer->link);
        if (timer->due > now) {
            list_append(slot, &timer->link);
        } else {
            timers->count--;
            timer->fire(timer);
        }
    }
}

static void on_tick(uv_timer_t *handle)
{
    struct timers *timers = handle->data;
    uint64_t now = uv_now(handle->loop);
    uint64_t end = now / TIMER_GRAIN; /* the slot of now is not over yet */
    uint64_t first = timers->tick;

    if (end - first > TIMER_SLOTS)
        first = end - TIMER_SLOTS;
    timers->tick = end;
    for (uint64_t slot = first; slot < end; slot++)
        visit(timers, &timers->slots[slot % TIMER_SLOTS], now);
    arm_next(timers);
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t delay)
{
    uint64_t slot;

    timer_clear(timers, timer);
    timer->due = uv_now(timers->handle.loop) + delay;
    slot = timer->due / TIMER_GRAIN;
    if (timers->count == 0 && timers->armed == never)
        timers->tick = uv_now(timers->handle.loop) / TIMER_GRAIN;
    list_append(&timers->slots[slot % TIMER_SLOTS], &timer->link);
    timers->count++;
    if (slot < timers->armed)
        arm(timers, slot);
}

void timer_clear(struct timers *timers, struct timer *timer)
{
    if (list_empty(&timer->link))
        return;
    list_remove(&timer->link);
    timers->count--;
}
