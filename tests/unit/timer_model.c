/* Timers against a model, for hours of a clock that this file turns itself: it stands in for the
 * four libuv calls that the wheel makes. */
#include "net/timer.h"

#include "unit.h"

#include <stdbool.h>

enum { TIMERS = 300 };

struct probe {
    struct timer timer;
    uint64_t due; /* 0: not set */
    int fired;
};

static struct timers timers;
static struct probe probes[TIMERS];
static uint64_t now;
static uint64_t latest; /* how late a timer may be found, ms */
static uint64_t wake;
static uv_timer_cb on_wake;
static uint32_t seed;
static bool lively; /* a timer that fires changes others */

uint64_t uv_now(const uv_loop_t *loop)
{
    (void)loop;
    return now;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *handle)
{
    handle->loop = loop;
    on_wake = NULL;
    return 0;
}

int uv_timer_start(uv_timer_t *handle, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
    (void)handle;
    assert_int_equal(repeat, 0);
    on_wake = callback;
    wake = now + timeout;
    return 0;
}

int uv_timer_stop(uv_timer_t *handle)
{
    (void)handle;
    on_wake = NULL;
    return 0;
}

/* Turns the clock to `time`. It stops at each wake-up, or `lag` ms behind it: a busy loop. */
static void advance(uint64_t time, uint64_t lag)
{
    while (on_wake && wake + lag <= time) {
        uv_timer_cb callback = on_wake;

        now = wake + lag > now ? wake + lag : now;
        on_wake = NULL;
        callback(&timers.handle);
    }
    now = time;
}

/* A small generator, the same on every run. */
static uint32_t random_below(uint32_t limit)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * limit >> 32);
}

static void set(struct probe *probe, uint64_t delay)
{
    probe->due = now + delay;
    timer_set(&timers, &probe->timer, delay);
}

static void clear(struct probe *probe)
{
    probe->due = 0;
    timer_clear(&timers, &probe->timer);
}

/* Delays from nothing to many turns of the wheel. */
static uint64_t random_delay(void)
{
    return random_below(1u << random_below(20));
}

static void change_something(void)
{
    struct probe *probe = &probes[random_below(TIMERS)];

    if (random_below(4) == 0)
        clear(probe);
    else
        set(probe, random_delay());
}

static void on_fire(struct timer *timer)
{
    struct probe *probe = list_entry(timer, struct probe, timer);

    assert_int_not_equal(probe->due, 0);
    assert_in_range(now, probe->due, probe->due + latest);
    probe->due = 0;
    probe->fired++;
    for (uint32_t i = lively ? random_below(3) : 0; i > 0; i--)
        change_something();
}

static int setup(void **state)
{
    static uv_loop_t loop;

    (void)state;
    seed = 1;
    lively = false;
    now = 1000003; /* in the middle of a slot */
    assert_int_equal(timers_init(&timers, &loop), 0);
    for (size_t i = 0; i < TIMERS; i++) {
        probes[i] = (struct probe){.due = 0};
        timer_init(&probes[i].timer, on_fire);
    }
    return 0;
}

static size_t count_set(void)
{
    size_t count = 0;

    for (size_t i = 0; i < TIMERS; i++)
        count += probes[i].due != 0;
    return count;
}

/* Sets, clears and waits at random; every timer must fire when it is due, no other may. */
static void live(uint64_t lag)
{
    latest = TIMER_GRAIN + lag;
    lively = true;
    for (int round = 0; round < 20000; round++) {
        for (uint32_t i = random_below(4); i > 0; i--)
            change_something();
        advance(now + random_below(1u << random_below(12)), lag);
        for (size_t i = 0; i < TIMERS; i++) {
            if (probes[i].due != 0 && probes[i].due + latest < now)
                fail_msg("%d ms late and not fired", (int)(now - probes[i].due));
        }
        assert_int_equal(timers.count, count_set());
    }
    for (size_t i = 0; i < TIMERS; i++)
        assert_true(probes[i].fired > 10);
}

static void hours_of_everything(void **state)
{
    (void)state;
    live(0);
}

static void hours_of_a_loop_that_is_late(void **state)
{
    (void)state;
    live(3);
    live(700);
}

/* Goal: after a sleep longer than the wheel all that was due fires at the first look. */
static void a_sleep_of_many_turns(void **state)
{
    const uint64_t turn = (uint64_t)TIMER_GRAIN * TIMER_SLOTS;

    (void)state;
    latest = 10 * turn;
    for (size_t i = 0; i < TIMERS; i++)
        set(&probes[i], 1 + i * 20);
    now += 9 * turn; /* nobody has looked meanwhile */
    advance(now, 0);
    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(probes[i].fired, 1);
}

/* Goal: a day is a day, and costs a few wake-ups a turn, not one a slot. */
static void a_day(void **state)
{
    const uint64_t day = 86400000;

    (void)state;
    latest = TIMER_GRAIN;
    set(&probes[0], day);
    advance(now + day - 1, 0);
    assert_int_equal(probes[0].fired, 0);
    advance(now + 1 + TIMER_GRAIN, 0);
    assert_int_equal(probes[0].fired, 1);
}

/* Goal: with nothing set nothing wakes the loop. */
static void silence(void **state)
{
    (void)state;
    set(&probes[0], 100);
    set(&probes[1], 5000000);
    clear(&probes[0]);
    clear(&probes[1]);
    advance(now + 1000, 0);
    assert_null(on_wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(hours_of_everything, setup),
        cmocka_unit_test_setup(hours_of_a_loop_that_is_late, setup),
        cmocka_unit_test_setup(a_sleep_of_many_turns, setup),
        cmocka_unit_test_setup(a_day, setup),
        cmocka_unit_test_setup(silence, setup),
    };

    return cmocka_run_group_tests_name("timer_model", tests, NULL, NULL);
}
