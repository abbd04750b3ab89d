/* Rates, and messages that repeat, by a clock of the test's own. */
#include "base/throttle.h"

#include "base/repeat.h"
#include "unit.h"

static const uint64_t second = 1000000000;

/* Uses all it may in pieces of at most `most`, until `end` (ns). Returns what was used. */
static uint64_t use_up(struct throttle *throttle, uint64_t rate, uint64_t most, uint64_t start,
                       uint64_t end)
{
    uint64_t now = start, used = 0, wait = 0;

    while (now < end) {
        uint64_t portion = throttle_ask(throttle, rate, most, now, &wait);

        assert_true(portion <= most);
        if (portion == 0) {
            assert_true(wait > 0);
            now += wait;
            continue;
        }
        throttle_pay(throttle, rate, portion, now);
        used += portion;
    }
    return used;
}

/* Goal: over any time the use is the rate, whatever the rate and the pieces, give or take 20 ms
 * worth and one piece. */
static void the_rate_is_kept(void **state)
{
    static const uint64_t rates[] = {1, 7, 1000, 65536, 10485760, UINT64_C(10) << 30};
    static const uint64_t pieces[] = {1, 1000, 262144};

    (void)state;
    for (size_t i = 0; i < LENGTH(rates); i++) {
        for (size_t j = 0; j < LENGTH(pieces); j++) {
            struct throttle throttle = {0};
            uint64_t due = rates[i] * 10, used;

            if (rates[i] / pieces[j] > 1000000)
                continue; /* nobody moves millions of pieces a second */
            used = use_up(&throttle, rates[i], pieces[j], second, 11 * second);
            assert_in_range(used, due - due / 50, due + rates[i] / 50 + pieces[j] + 1);
        }
    }
}

/* Goal: time that was not used is not saved up. */
static void rest_is_not_saved_up(void **state)
{
    struct throttle throttle = {0};
    uint64_t rate = 1000000;

    (void)state;
    use_up(&throttle, rate, 1000, second, 2 * second);
    assert_in_range(use_up(&throttle, rate, 1000, 100 * second, 100 * second + second / 10), 1,
                    rate / 10 + rate / 50 + 1000);
}

/* Goal: timers that are late now and then cost nothing of the rate, and give nothing. */
static void what_is_late_is_made_up_for(void **state)
{
    struct throttle throttle = {0};
    uint64_t rate = 1000000, now = second, used = 0, wait = 0;

    (void)state;
    for (uint64_t turn = 0; now < 11 * second; turn++) {
        uint64_t portion = throttle_ask(&throttle, rate, rate, now, &wait);

        throttle_pay(&throttle, rate, portion, now);
        used += portion;
        assert_in_range(used, 0, (now - second) * rate / second + rate * 30 / 1000);
        if (portion == 0)
            now += wait + turn % 15 * 1000000;
    }
    assert_in_range(used, 10 * rate - rate * 30 / 1000, 10 * rate + rate * 30 / 1000);
}

static void one_may_wait_for_what_another_has_used(void **state)
{
    struct throttle throttle = {0};
    uint64_t wait = 0;

    (void)state;
    throttle_pay(&throttle, 1000, 5000, second); /* five seconds' worth */
    assert_int_equal(throttle_ask(&throttle, 1000, 10, second, &wait), 0);
    assert_int_equal(wait, 5 * second);
    assert_int_equal(throttle_ask(&throttle, 1000, 10, 6 * second - 1, &wait), 0);
    assert_int_equal(wait, 1);
    assert_int_equal(throttle_ask(&throttle, 1000, 10, 6 * second, &wait), 10);
}

/* Goal: the arithmetic holds for the most that can be configured. */
static void large_numbers(void **state)
{
    struct throttle throttle = {0};
    uint64_t wait = 0, rate = UINT64_C(1) << 40;

    (void)state;
    throttle_pay(&throttle, rate, rate, second);
    assert_int_equal(throttle_ask(&throttle, rate, 1, second, &wait), 0);
    assert_int_equal(wait, second);
}

static void a_repeated_message_is_told_once_a_while(void **state)
{
    struct repeat repeat = {0};
    uint64_t now = 1000000;

    (void)state;
    assert_true(repeat_tell(&repeat, now));
    assert_int_equal(repeat_swallowed(&repeat), 0);
    for (int i = 0; i < 7; i++)
        assert_false(repeat_tell(&repeat, now + (uint64_t)i));
    assert_false(repeat_tell(&repeat, now + REPEAT_PAUSE - 1));
    assert_int_equal(repeat_swallowed(&repeat), 8);
    assert_int_equal(repeat_swallowed(&repeat), 0);
    assert_true(repeat_tell(&repeat, now + REPEAT_PAUSE));
    assert_false(repeat_tell(&repeat, now + REPEAT_PAUSE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(rest_is_not_saved_up),
        cmocka_unit_test(what_is_late_is_made_up_for),
        cmocka_unit_test(one_may_wait_for_what_another_has_used),
        cmocka_unit_test(large_numbers),
        cmocka_unit_test(a_repeated_message_is_told_once_a_while),
    };

    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
