/* The tests' own tools: what they report must be true. */
#include "check.h"
#include "pattern.h"

#include <string.h>

#define SIZE 100000

static unsigned char whole[SIZE], part[SIZE];

/* Goal: a piece is the same whatever offset and length it is made with. */
static void pattern_has_no_seams(void **state)
{
    (void)state;
    pattern_fill(7, 0, whole, SIZE);
    for (size_t at = 0; at < 20; at++)
        for (size_t len = 0; len < 40; len++) {
            pattern_fill(7, at, part, len);
            assert_memory_equal(part, whole + at, len);
            assert_int_equal(pattern_check(7, at, whole + at, len), len);
        }
}

/* Goal: every single wrong byte is found, and where it is. */
static void pattern_finds_a_wrong_byte(void **state)
{
    (void)state;
    pattern_fill(7, 3, whole, SIZE);
    for (size_t at = 0; at < SIZE; at += 61) {
        whole[at] ^= 1;
        assert_int_equal(pattern_check(7, 3, whole, SIZE), at);
        whole[at] ^= 1;
    }
}

/* Goal: a lost, a repeated and a foreign piece are recognised for what they are. */
static void pattern_tells_where_bytes_belong(void **state)
{
    static const uint64_t offsets[] = {0, 1, 7, 8, 4095, UINT64_C(1) << 40};
    uint32_t stream;
    uint64_t offset;
    (void)state;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        pattern_fill(PATTERN_STREAMS - 1, offsets[i], part, PATTERN_LOCATABLE);
        assert_true(pattern_locate(part, PATTERN_LOCATABLE, &stream, &offset));
        assert_int_equal(stream, PATTERN_STREAMS - 1);
        assert_int_equal(offset, offsets[i]);
    }
    memset(part, 0, sizeof part);
    assert_false(pattern_locate(part, sizeof part, &stream, &offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pattern_has_no_seams),
        cmocka_unit_test(pattern_finds_a_wrong_byte),
        cmocka_unit_test(pattern_tells_where_bytes_belong),
    };
    return cmocka_run_group_tests_name("testlib", tests, NULL, NULL);
}
