/* Errors: the message grows from both ends, and never past its place. */
#include "base/err.h"

#include "unit.h"

#include <uv.h>

/* An err with a guard behind it. */
static struct {
    struct err err;
    char guard[16];
} box;

static char long_text[2000];

static int setup(void **state)
{
    (void)state;
    memset(&box, '#', sizeof box);
    memset(long_text, 'x', sizeof long_text - 1);
    return 0;
}

/* Whole: a NUL inside, the guard untouched. */
static void assert_sound(size_t length)
{
    assert_int_equal(strnlen(box.err.msg, sizeof box.err.msg), length);
    for (size_t i = 0; i < sizeof box.guard; i++)
        assert_int_equal(box.guard[i], '#');
}

static void set_writes_code_and_message(void **state)
{
    (void)state;
    assert_int_equal(err_set(&box.err, UV_ENOTSUP, "no %s for '%d'", "way", 7), -1);
    assert_int_equal(box.err.code, UV_ENOTSUP);
    assert_string_equal(box.err.msg, "no way for '7'");
}

static void system_adds_the_systems_text(void **state)
{
    (void)state;
    assert_int_equal(err_system(&box.err, UV_ECONNREFUSED, "cannot call '%s'", "x"), -1);
    assert_int_equal(box.err.code, UV_ECONNREFUSED);
    assert_string_equal(box.err.msg, "cannot call 'x': connection refused");
}

static void prefix_and_hint_stand_around_the_message(void **state)
{
    (void)state;
    err_system(&box.err, UV_EADDRINUSE, "cannot bind");
    assert_int_equal(err_hint(&box.err, "another process listens there"), -1);
    assert_int_equal(err_prefix(&box.err, "cannot listen on '%s'", "tcp:h:1"), -1);
    assert_int_equal(err_prefix(&box.err, "forward '%s'", "a"), -1);
    assert_int_equal(box.err.code, UV_EADDRINUSE);
    assert_string_equal(box.err.msg,
                        "forward 'a': cannot listen on 'tcp:h:1': cannot bind: address "
                        "already in use (another process listens there)");
}

/* Goal: whatever is too long is cut at the end, by each of the functions. */
static void too_long_is_cut(void **state)
{
    const size_t most = sizeof box.err.msg - 1;

    (void)state;
    err_set(&box.err, 0, "%s", long_text);
    assert_sound(most);
    err_hint(&box.err, long_text);
    assert_sound(most);
    err_prefix(&box.err, "front");
    assert_sound(most);
    assert_memory_equal(box.err.msg, "front: xxx", 10);
    err_prefix(&box.err, "%s", long_text);
    assert_sound(most);
    err_system(&box.err, UV_EINVAL, "%s", long_text);
    assert_sound(most);
}

/* Goal: one byte below, at and above what fits. */
static void the_edge_is_exact(void **state)
{
    const int most = (int)sizeof box.err.msg - 1;

    (void)state;
    for (int length = most - 6; length <= most + 2; length++) {
        size_t whole = (size_t)(length < most ? length : most);

        err_set(&box.err, 0, "%.*s", length, long_text);
        assert_sound(whole);
        err_hint(&box.err, "h"); /* " (h)" */
        assert_sound(whole + 4 < (size_t)most ? whole + 4 : (size_t)most);
        err_prefix(&box.err, "p"); /* "p: " */
        assert_sound(whole + 7 < (size_t)most ? whole + 7 : (size_t)most);
    }
}

/* Goal: text is data; a "%" in it does nothing. */
static void percent_signs_are_kept(void **state)
{
    (void)state;
    err_set(&box.err, 0, "%s", "%s%n%d");
    err_hint(&box.err, "100%s");
    err_prefix(&box.err, "%s", "%n");
    assert_string_equal(box.err.msg, "%n: %s%n%d (100%s)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(set_writes_code_and_message, setup),
        cmocka_unit_test_setup(system_adds_the_systems_text, setup),
        cmocka_unit_test_setup(prefix_and_hint_stand_around_the_message, setup),
        cmocka_unit_test_setup(too_long_is_cut, setup),
        cmocka_unit_test_setup(the_edge_is_exact, setup),
        cmocka_unit_test_setup(percent_signs_are_kept, setup),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
