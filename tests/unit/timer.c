/* Timers on a real loop. What takes long is in timer_model.c, whose clock is not real. */
#include "net/timer.h"

#include "unit.h"

#include <stdlib.h>

enum { MANY = 2000 };

/* A timer that notes when it fires, and may do something then. */
struct probe {
    struct timer timer;
    uint64_t due, fired; /* loop time */
    int count;
    void (*then)(struct probe *probe);
};

static uv_loop_t loop;
static struct timers timers;

static void on_fire(struct timer *timer)
{
    struct probe *probe = list_entry(timer, struct probe, timer);

    probe->fired = uv_now(&loop);
    probe->count++;
    if (probe->then)
        probe->then(probe);
}

static void probe_init(struct probe *probe)
{
    *probe = (struct probe){.due = 0};
    timer_init(&probe->timer, on_fire);
}

static void probe_set(struct probe *probe, uint64_t delay)
{
    probe->due = uv_now(&loop) + delay;
    timer_set(&timers, &probe->timer, delay);
}

static int setup(void **state)
{
    (void)state;
    return uv_loop_init(&loop) == 0 && timers_init(&timers, &loop) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    timers_close(&timers);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* The loop runs until no timer is set: nothing else is active in it. */
static void run(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(timers.count, 0);
}

static void assert_fired(const struct probe *probe, int count)
{
    assert_int_equal(probe->count, count);
    if (count > 0 && probe->fired < probe->due)
        fail_msg("fired %d ms early", (int)(probe->due - probe->fired));
}

static void each_fires_once_and_never_early(void **state)
{
    static const uint64_t delays[] = {0, 1, 7, 8, 9, 15, 16, 17, 50, 64, 65, 100};
    struct probe probes[LENGTH(delays)];

    (void)state;
    for (size_t i = 0; i < LENGTH(delays); i++) {
        probe_init(&probes[i]);
        probe_set(&probes[i], delays[i]);
    }
    for (size_t i = 0; i < LENGTH(delays); i++)
        assert_fired(&probes[i], 0);
    run();
    for (size_t i = 0; i < LENGTH(delays); i++)
        assert_fired(&probes[i], 1);
}

static void setting_again_replaces(void **state)
{
    struct probe later, sooner;

    (void)state;
    probe_init(&later);
    probe_init(&sooner);
    probe_set(&later, 1);
    probe_set(&later, 60);
    probe_set(&sooner, 3600000);
    probe_set(&sooner, 20);
    run();
    assert_fired(&later, 1);
    assert_fired(&sooner, 1);
}

static void clearing_stops_it(void **state)
{
    struct probe cleared, kept, unset;

    (void)state;
    probe_init(&cleared);
    probe_init(&kept);
    probe_init(&unset);
    probe_set(&cleared, 10);
    probe_set(&kept, 10);
    timer_clear(&timers, &cleared.timer);
    timer_clear(&timers, &cleared.timer);
    timer_clear(&timers, &unset.timer);
    run();
    assert_fired(&cleared, 0);
    assert_fired(&kept, 1);
}

static struct probe victims[3];

static void set_again_twice(struct probe *probe)
{
    if (probe->count < 3)
        probe_set(probe, 12);
}

static void set_another_at_once(struct probe *probe)
{
    if (probe->count == 1)
        probe_set(&victims[2], 0);
}

static void clear_both_others(struct probe *probe)
{
    (void)probe;
    timer_clear(&timers, &victims[0].timer);
    timer_clear(&timers, &victims[1].timer);
}

static void a_timer_can_set_itself_again(void **state)
{
    struct probe probe;

    (void)state;
    probe_init(&probe);
    probe.then = set_again_twice;
    probe_set(&probe, 5);
    run();
    assert_fired(&probe, 3);
}

/* Goal: one that fires can set another, and clear those due at the same time before and behind it,
 * and itself. */
static void a_timer_can_change_the_others(void **state)
{
    struct probe setter, clearer;

    (void)state;
    for (size_t i = 0; i < LENGTH(victims); i++)
        probe_init(&victims[i]);
    probe_init(&setter);
    probe_init(&clearer);
    setter.then = set_another_at_once;
    clearer.then = clear_both_others;
    probe_set(&setter, 10);
    probe_set(&clearer, 20);
    probe_set(&victims[0], 20);
    probe_set(&victims[1], 60);
    run();
    assert_fired(&setter, 1);
    assert_fired(&victims[2], 1);
    assert_fired(&clearer, 1);
    assert_fired(&victims[0], 0);
    assert_fired(&victims[1], 0);
}

static void many_at_once(void **state)
{
    struct probe *probes = calloc(MANY, sizeof *probes);

    (void)state;
    assert_non_null(probes);
    for (size_t i = 0; i < MANY; i++) {
        probe_init(&probes[i]);
        probe_set(&probes[i], i * 31 % 120);
    }
    for (size_t i = 0; i < MANY; i += 3)
        timer_clear(&timers, &probes[i].timer);
    run();
    for (size_t i = 0; i < MANY; i++)
        assert_fired(&probes[i], i % 3 != 0);
    free(probes);
}

/* Goal: one that is due a whole turn of the first level later is not met with those of now. */
static void a_turn_later_is_not_now(void **state)
{
    struct probe soon, late;

    (void)state;
    probe_init(&soon);
    probe_init(&late);
    probe_set(&late, 30 + TIMER_GRAIN * TIMER_SLOTS);
    probe_set(&soon, 30);
    while (soon.count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_fired(&late, 0);
    assert_int_equal(timers.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_fires_once_and_never_early, setup, teardown),
        cmocka_unit_test_setup_teardown(setting_again_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(clearing_stops_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_can_set_itself_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_can_change_the_others, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_turn_later_is_not_now, setup, teardown),
    };

    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
