#include "net/timer.h"

#include <stdbool.h>

static const uint64_t never = UINT64_MAX;
static const uint64_t last_tick = (UINT64_C(1) << (TIMER_LEVELS * TIMER_BITS)) - 1;

static void on_tick(uv_timer_t *handle);

int timers_init(struct timers *timers, uv_loop_t *loop)
{
    for (int level = 0; level < TIMER_LEVELS; level++) {
        for (int i = 0; i < TIMER_SLOTS; i++)
            list_init(&timers->slots[level][i]);
    }
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

static void arm(struct timers *timers, uint64_t tick)
{
    uint64_t now = uv_now(timers->handle.loop);
    uint64_t begin = tick * TIMER_GRAIN;

    timers->armed = tick;
    uv_timer_start(&timers->handle, on_tick, begin > now ? begin - now : 0, 0);
}

static int slot_index(uint64_t tick, int level)
{
    return (int)((tick >> (level * TIMER_BITS)) % TIMER_SLOTS);
}

/* The tick at which a slot's time begins. All levels above stand at the current tick. */
static uint64_t slot_begin(const struct timers *timers, int level, int index)
{
    int below = level * TIMER_BITS;
    uint64_t block = timers->tick >> (below + TIMER_BITS) << (below + TIMER_BITS);

    return block + ((uint64_t)index << below);
}

/* Puts a timer that is due after the current tick into its slot: on the level of the highest digit
 * in which the two differ. Returns the tick at which that slot's time begins. */
static uint64_t place(struct timers *timers, struct timer *timer)
{
    int level = 0, index;

    while ((timer->due ^ timers->tick) >> ((level + 1) * TIMER_BITS) != 0)
        level++;
    index = slot_index(timer->due, level);
    list_append(&timers->slots[level][index], &timer->link);
    return slot_begin(timers, level, index);
}

/* The next slot in use, and the tick at which its time begins; NULL: no timer is set. What a lower
 * level holds comes before all of a higher one. */
static struct list *next_slot(struct timers *timers, uint64_t *begin)
{
    if (timers->count == 0)
        return NULL;
    for (int level = 0; level < TIMER_LEVELS; level++) {
        for (int i = slot_index(timers->tick, level) + 1; i < TIMER_SLOTS; i++) {
            *begin = slot_begin(timers, level, i);
            if (!list_empty(&timers->slots[level][i]))
                return &timers->slots[level][i];
        }
    }
    return NULL;
}

/* Its time has begun: what is due fires, the rest moves down. */
static void visit(struct timers *timers, struct list *slot)
{
    struct list content;

    list_take(&content, slot);
    while (!list_empty(&content)) {
        struct timer *timer = list_entry(content.next, struct timer, link);

        list_remove(&timer->link);
        if (timer->due > timers->tick) {
            place(timers, timer);
        } else {
            timers->count--;
            timer->fire(timer);
        }
    }
}

static void on_tick(uv_timer_t *handle)
{
    struct timers *timers = handle->data;
    uint64_t now = uv_now(handle->loop) / TIMER_GRAIN;
    uint64_t begin;
    struct list *slot;

    timers->armed = 0;
    while ((slot = next_slot(timers, &begin)) && begin <= now) {
        timers->tick = begin;
        visit(timers, slot);
    }
    timers->tick = now;
    timers->armed = never;
    if (slot)
        arm(timers, begin);
}

/* The tick at which a timer fires: a coarser one for a longer delay. */
static uint64_t due_tick(uint64_t now, uint64_t delay)
{
    uint64_t grain = 1, due;

    if (delay > last_tick * TIMER_GRAIN - now)
        return last_tick;
    while (grain * TIMER_GRAIN < TIMER_MOST_LATE && grain * 2 * TIMER_GRAIN * 64 <= delay)
        grain *= 2;
    due = (now + delay + TIMER_GRAIN - 1) / TIMER_GRAIN;
    return (due + grain - 1) / grain * grain;
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t delay)
{
    uint64_t now = uv_now(timers->handle.loop), begin;

    timer_clear(timers, timer);
    if (now / TIMER_GRAIN < timers->armed) /* no slot in use has been passed over */
        timers->tick = now / TIMER_GRAIN;
    timer->due = due_tick(now, delay);
    if (timer->due <= now / TIMER_GRAIN)
        timer->due = now / TIMER_GRAIN + 1;
    timers->count++;
    begin = place(timers, timer);
    if (begin < timers->armed)
        arm(timers, begin);
}

void timer_clear(struct timers *timers, struct timer *timer)
{
    if (list_empty(&timer->link))
        return;
    list_remove(&timer->link);
    timers->count--;
}
