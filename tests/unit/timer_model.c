/* Timers against a model, for hours of a clock that this file turns itself: it stands in for the
 * four libuv calls that the wheel makes. */
#include "net/timer.h"

#include "unit.h"

#include <stdbool.h>

enum { TIMERS = 300 };

struct probe {
    struct timer timer;
    uint64_t due;    /* 0: not set */
    uint64_t latest; /* when it must have fired on a loop that is not late */
    int fired;
};

static struct timers timers;
static struct probe probes[TIMERS];
static uint64_t now;
static uint64_t busy; /* how late the loop may be, ms */
static uint64_t wake;
static int wakes; /* so often the wheel has woken the loop */
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
        wakes++;
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

/* What timer.h allows. */
static uint64_t lateness(uint64_t delay)
{
    uint64_t part = delay / 64;

    if (part <= TIMER_GRAIN)
        return TIMER_GRAIN;
    return part < TIMER_MOST_LATE ? part : TIMER_MOST_LATE;
}

static void set(struct probe *probe, uint64_t delay)
{
    probe->due = now + delay;
    probe->latest = probe->due + lateness(delay);
    timer_set(&timers, &probe->timer, delay);
}

static void clear(struct probe *probe)
{
    probe->due = 0;
    timer_clear(&timers, &probe->timer);
}

/* Delays from nothing to nine hours: several levels of the wheel. */
static uint64_t random_delay(void)
{
    return random_below(1u << random_below(26));
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
    assert_in_range(now, probe->due, probe->latest + busy);
    probe->due = 0;
    probe->fired++;
    for (uint32_t i = lively ? random_below(3) : 0; i > 0; i--)
        change_something();
}

static int setup_at(uint64_t start)
{
    static uv_loop_t loop;

    seed = 1;
    lively = false;
    busy = 0;
    wakes = 0;
    now = start;
    assert_int_equal(timers_init(&timers, &loop), 0);
    for (size_t i = 0; i < TIMERS; i++) {
        probes[i] = (struct probe){.due = 0};
        timer_init(&probes[i].timer, on_fire);
    }
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_at(1000003); /* in the middle of a slot */
}

static int setup_years_later(void **state)
{
    (void)state;
    return setup_at(UINT64_C(200) * 365 * 86400000 + 3);
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
    busy = lag;
    lively = true;
    for (int round = 0; round < 20000; round++) {
        for (uint32_t i = random_below(4); i > 0; i--)
            change_something();
        advance(now + random_below(1u << random_below(round % 64 ? 12 : 24)), lag);
        for (size_t i = 0; i < TIMERS; i++) {
            if (probes[i].due != 0 && probes[i].latest + busy < now)
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

/* Goal: after a long sleep all that was due fires at the first look. */
static void a_sleep_of_many_turns(void **state)
{
    const uint64_t sleep = (uint64_t)TIMER_GRAIN * TIMER_SLOTS * TIMER_SLOTS * 9;

    (void)state;
    busy = sleep;
    for (size_t i = 0; i < TIMERS; i++)
        set(&probes[i], 1 + i * 900);
    now += sleep; /* nobody has looked meanwhile */
    advance(now, 0);
    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(probes[i].fired, 1);
    assert_int_equal(wakes, 1);
}

/* Goal: a day is a day, at most a second late, and costs a wake-up a level. */
static void a_day(void **state)
{
    const uint64_t day = 86400000;

    (void)state;
    set(&probes[0], day);
    advance(now + day - 1, 0);
    assert_int_equal(probes[0].fired, 0);
    advance(now + 1 + TIMER_MOST_LATE, 0);
    assert_int_equal(probes[0].fired, 1);
    assert_in_range(wakes, 1, TIMER_LEVELS);
}

/* Goal: a delay beyond all time is never over, and does no harm. */
static void forever(void **state)
{
    (void)state;
    timer_set(&timers, &probes[0].timer, UINT64_MAX);
    set(&probes[1], 100);
    advance(now + 1000000000, 0);
    assert_int_equal(probes[0].fired, 0);
    assert_int_equal(probes[1].fired, 1);
}

/* Goal: idle costs nothing. Sessions that came one after another and wait for an hour wake nobody
 * for half of it, and while they end at most once a second. */
static void idle_sessions(void **state)
{
    const uint64_t hour = 3600000;

    (void)state;
    for (size_t i = 0; i < TIMERS; i++) {
        advance(now + 33, 0);
        set(&probes[i], hour);
    }
    advance(now + hour / 2, 0);
    assert_in_range(wakes, 0, TIMER_LEVELS);
    wakes = 0;
    advance(now + hour / 2 + TIMER_MOST_LATE, 0);
    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(probes[i].fired, 1);
    assert_in_range(wakes, 1, TIMERS * 33 / 1000 + 4 * TIMER_LEVELS);
}

/* Goal: sessions that are not quite idle, so that their timers are set again all the time, cost no
 * more than a wake-up a second. */
static void busy_sessions(void **state)
{
    (void)state;
    busy = UINT64_MAX / 2;
    for (size_t i = 0; i < TIMERS; i++)
        set(&probes[i], 3600000);
    for (int second = 0; second < 7200; second++) {
        for (size_t i = 0; i < TIMERS; i++) {
            if (probes[i].due < now + 60000)
                set(&probes[i], 3600000 - random_below(3000000));
        }
        advance(now + 1000, 0);
    }
    assert_in_range(wakes, 1, 7200 * 5 / 4);
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
        cmocka_unit_test_setup(hours_of_everything, setup_years_later),
        cmocka_unit_test_setup(a_sleep_of_many_turns, setup),
        cmocka_unit_test_setup(a_day, setup),
        cmocka_unit_test_setup(forever, setup),
        cmocka_unit_test_setup(idle_sessions, setup),
        cmocka_unit_test_setup(busy_sessions, setup),
        cmocka_unit_test_setup(silence, setup),
    };

    return cmocka_run_group_tests_name("timer_model", tests, NULL, NULL);
}
