/* Places: each limit binds by itself, and whatever is not granted leaves the counts as they were.
 */
#include "session/forward.h"

#include "unit.h"

#include <stdlib.h>

static int descriptors, seen; /* what is left, and what is said to be left the next time (or -1) */

/* The linker puts these in the place of the budget. */
int __wrap_descriptors_left(void);
bool __wrap_descriptors_take(int count, int leave);
void __wrap_descriptors_give(int count);

int __wrap_descriptors_left(void)
{
    int said = seen >= 0 ? seen : descriptors;

    seen = -1;
    return said;
}

bool __wrap_descriptors_take(int count, int leave)
{
    if (descriptors - count < leave)
        return false;
    descriptors -= count;
    return true;
}

void __wrap_descriptors_give(int count)
{
    descriptors += count;
}

struct fixture {
    struct forward *forward;
    struct terms *terms;
    struct totals totals;
};

static struct fixture make(unsigned sessions, unsigned pending, unsigned total, int left)
{
    struct fixture made = {0};
    struct forward_config config = {.name = "a", .max_sessions = sessions, .max_pending = pending};

    made.forward = forward_create(&config);
    made.terms = terms_create(&config);
    atomic_init(&made.totals.most_sessions, total);
    descriptors = left;
    seen = -1;
    return made;
}

/* Both assert that nothing is taken any more. */
static void release(struct fixture *fixture)
{
    assert_int_equal(atomic_load(&fixture->totals.sessions), 0);
    forward_release(fixture->forward);
    terms_release(fixture->terms);
}

static enum entry enter_at(struct fixture *fixture, uint64_t now)
{
    uint64_t wait;

    return forward_enter(fixture->forward, fixture->terms, &fixture->totals, now, &wait);
}

static enum entry enter(struct fixture *fixture)
{
    return enter_at(fixture, 0);
}

static void leave(struct fixture *fixture)
{
    forward_leave(fixture->forward, &fixture->totals);
}

static void assert_counts(const struct fixture *fixture, unsigned sessions, unsigned pending)
{
    assert_int_equal(atomic_load(&fixture->forward->sessions), sessions);
    assert_int_equal(atomic_load(&fixture->totals.sessions), sessions);
    assert_int_equal(atomic_load(&fixture->forward->pending), pending);
}

/* Goal: with each of the limits at 2 and the others out of reach, the third has to wait until one
 * has left. */
static void each_limit_binds(void **state)
{
    static const struct {
        unsigned sessions, pending, total;
        int left;
    } rows[] = {{2, 9, 9, 99}, {9, 2, 9, 99}, {9, 9, 2, 99}, {9, 9, 9, 5},
                {2, 0, 0, 99}, {0, 2, 0, 99}, {0, 0, 2, 99}, {0, 0, 0, 4}};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct fixture fixture =
            make(rows[i].sessions, rows[i].pending, rows[i].total, rows[i].left);

        assert_int_equal(enter(&fixture), ENTRY_GRANTED);
        assert_int_equal(enter(&fixture), ENTRY_GRANTED);
        assert_int_equal(enter(&fixture), ENTRY_FULL);
        assert_counts(&fixture, 2, 2);
        assert_int_equal(descriptors, rows[i].left - 4);
        forward_answered(fixture.forward);
        leave(&fixture);
        assert_int_equal(enter(&fixture), ENTRY_GRANTED);
        assert_int_equal(enter(&fixture), ENTRY_FULL);
        for (int j = 0; j < 2; j++) {
            forward_answered(fixture.forward);
            leave(&fixture);
        }
        assert_int_equal(descriptors, rows[i].left);
        release(&fixture);
    }
}

/* Goal: who finds the forward full uses nothing of accept_rate up. */
static void only_who_comes_in_pays(void **state)
{
    const uint64_t second = 1000000000;
    struct fixture fixture = make(1, 0, 0, 99);

    (void)state;
    fixture.terms->config.accept_rate = 1;
    assert_int_equal(enter_at(&fixture, 10 * second), ENTRY_GRANTED);
    assert_int_equal(enter_at(&fixture, 10 * second), ENTRY_LATER);
    assert_int_equal(enter_at(&fixture, 11 * second), ENTRY_FULL);
    assert_int_equal(enter_at(&fixture, 11 * second), ENTRY_FULL);
    forward_answered(fixture.forward);
    leave(&fixture);
    assert_int_equal(enter_at(&fixture, 11 * second), ENTRY_GRANTED);
    forward_answered(fixture.forward);
    leave(&fixture);
    release(&fixture);
}

/* Goal: max_pending lets the next one in as soon as a target has answered. */
static void an_answer_makes_room(void **state)
{
    struct fixture fixture = make(0, 1, 0, 99);

    (void)state;
    assert_int_equal(enter(&fixture), ENTRY_GRANTED);
    assert_int_equal(enter(&fixture), ENTRY_FULL);
    forward_answered(fixture.forward);
    assert_int_equal(enter(&fixture), ENTRY_GRANTED);
    assert_counts(&fixture, 2, 1);
    forward_answered(fixture.forward);
    leave(&fixture);
    leave(&fixture);
    release(&fixture);
}

/* Goal: who finds the descriptors gone that were there a moment before gives all else back. */
static void a_race_that_is_lost(void **state)
{
    struct fixture fixture = make(5, 5, 5, 1);

    (void)state;
    seen = 2;
    assert_int_equal(enter(&fixture), ENTRY_FULL);
    assert_counts(&fixture, 0, 0);
    assert_int_equal(descriptors, 1);
    release(&fixture);
}

/* Goal: what was swallowed is told of each kind, whatever else was told. */
static void all_repeats_are_told(void **state)
{
    struct fixture fixture = make(0, 0, 0, 99);
    enum { KINDS = 3 };
    struct repeat *repeats[KINDS] = {&fixture.forward->refusals, &fixture.forward->denials,
                                     &fixture.forward->limits};

    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        (void)repeat_tell(repeats[i], 1000);
        (void)repeat_tell(repeats[i], 1000);
    }
    assert_true(forward_tell_repeats(fixture.forward));
    for (size_t i = 0; i < KINDS; i++)
        assert_int_equal(repeat_swallowed(repeats[i]), 0);
    assert_false(forward_tell_repeats(fixture.forward));
    release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_binds),     cmocka_unit_test(only_who_comes_in_pays),
        cmocka_unit_test(an_answer_makes_room), cmocka_unit_test(a_race_that_is_lost),
        cmocka_unit_test(all_repeats_are_told),
    };

    return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
