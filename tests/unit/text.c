/* Numbers, times, sizes, nearest names. */
#include "base/text.h"

#include "unit.h"

#include <inttypes.h>
#include <stdio.h>

struct reading {
    const char *text;
    uint64_t value;
};

typedef int read_function(const char *text, uint64_t *out);

static int read_any_number(const char *text, uint64_t *out)
{
    return text_number(text, UINT64_MAX, out);
}

static void assert_reads(read_function *read, const struct reading *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 12345;

        if (read(rows[i].text, &value) != 0)
            fail_msg("'%s' is refused", rows[i].text);
        if (value != rows[i].value)
            fail_msg("'%s' is read as %" PRIu64, rows[i].text, value);
    }
}

static void assert_refuses(read_function *read, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;

        if (read(texts[i], &value) != -1)
            fail_msg("'%s' is read", texts[i]);
    }
}

static void numbers(void **state)
{
    static const struct reading right[] = {
        {"0", 0},
        {"7", 7},
        {"007", 7},
        {"0x0", 0},
        {"0xfF", 255},
        {"0X10", 16},
        {"18446744073709551615", UINT64_MAX},
        {"0xffffffffffffffff", UINT64_MAX},
    };
    static const char *const wrong[] = {
        "",
        " ",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x",
        "x1",
        "ff",
        "0xg",
        "1,000",
        "18446744073709551616", /* one too many */
        "28446744073709551615", /* and far too many: the sum wraps around */
        "0x10000000000000000",
        "99999999999999999999999999999999",
    };

    (void)state;
    assert_reads(read_any_number, right, LENGTH(right));
    assert_refuses(read_any_number, wrong, LENGTH(wrong));
}

/* Goal: the limit itself is allowed, the next number is not, for limits of any size. */
static void numbers_have_a_limit(void **state)
{
    static const uint64_t limits[] = {
        0, 1, 8, 9, 10, 65535, UINT32_MAX, UINT32_MAX - 1, UINT64_MAX - 1};

    (void)state;
    for (size_t i = 0; i < LENGTH(limits); i++) {
        char text[32];
        uint64_t value;

        snprintf(text, sizeof text, "%" PRIu64, limits[i]);
        assert_int_equal(text_number(text, limits[i], &value), 0);
        assert_int_equal(value, limits[i]);
        snprintf(text, sizeof text, "%" PRIu64, limits[i] + 1);
        assert_int_equal(text_number(text, limits[i], &value), -1);
        snprintf(text, sizeof text, "0x%" PRIx64, limits[i] + 1);
        assert_int_equal(text_number(text, limits[i], &value), -1);
    }
}

static void durations(void **state)
{
    static const struct reading right[] = {
        {"off", 0},
        {"0", 0},
        {"0s", 0},
        {"1ms", 1},
        {"250ms", 250},
        {"30s", 30000},
        {"5m", 300000},
        {"1h", 3600000},
        {"2d", 172800000},
        {"365d", 31536000000},
        {"8760h", 31536000000},
        {"31536000000ms", 31536000000},
    };
    static const char *const wrong[] = {
        "",
        "10",
        "s",
        "ms",
        "-1s",
        "+1s",
        "1 s",
        " 1s",
        "1s ",
        "1.5s",
        "1S",
        "1sec",
        "1min",
        "1h30m",
        "0x10s",
        "Off",
        "366d",
        "8761h",
        "31536000001ms",
        "18446744073709551615s",
        "18446744073709551616ms",
        "213503982335d", /* the product wraps */
    };

    (void)state;
    assert_reads(text_duration, right, LENGTH(right));
    assert_refuses(text_duration, wrong, LENGTH(wrong));
}

static void sizes(void **state)
{
    static const struct reading right[] = {
        {"off", 0},
        {"0", 0},
        {"0KiB", 0},
        {"1B", 1},
        {"512B", 512},
        {"64KiB", 65536},
        {"1MiB", 1048576},
        {"1GiB", UINT64_C(1) << 30},
        {"1024GiB", UINT64_C(1) << 40},
        {"1099511627776B", UINT64_C(1) << 40},
    };
    static const char *const wrong[] = {
        "",
        "64",
        "KiB",
        "64K",
        "64KB",
        "64kib",
        "64 KiB",
        "-1B",
        "1.5MiB",
        "0x40KiB",
        "1TiB",
        "1025GiB",
        "1099511627777B",
        "17179869185GiB",
        "18446744073709551616B",
    };

    (void)state;
    assert_reads(text_size, right, LENGTH(right));
    assert_refuses(text_size, wrong, LENGTH(wrong));
}

static void formatting_takes_the_largest_unit_that_divides(void **state)
{
    static const struct reading times[] = {
        {"off", 0},       {"1ms", 1},       {"999ms", 999},    {"1s", 1000},
        {"1500ms", 1500}, {"90s", 90000},   {"1m", 60000},     {"1h", 3600000},
        {"61m", 3660000}, {"1d", 86400000}, {"25h", 90000000}, {"365d", 31536000000},
    };
    static const struct reading bytes[] = {
        {"off", 0},
        {"1B", 1},
        {"1023B", 1023},
        {"1KiB", 1024},
        {"1536B", 1536},
        {"64KiB", 65536},
        {"1MiB", 1048576},
        {"1025KiB", 1049600},
        {"3GiB", UINT64_C(3) << 30},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < LENGTH(times); i++) {
        text_format_duration(times[i].value, text, sizeof text);
        assert_string_equal(text, times[i].text);
    }
    for (size_t i = 0; i < LENGTH(bytes); i++) {
        text_format_size(bytes[i].value, text, sizeof text);
        assert_string_equal(text, bytes[i].text);
    }
}

/* Goal: what is formatted reads back as the same value, over the whole range. */
static void formatting_round_trips(void **state)
{
    char text[32];

    (void)state;
    for (uint64_t value = 0; value <= UINT64_C(31536000000); value += value / 3 + 1) {
        uint64_t back;

        text_format_duration(value, text, sizeof text);
        assert_int_equal(text_duration(text, &back), 0);
        assert_int_equal(back, value);
        text_format_size(value, text, sizeof text);
        assert_int_equal(text_size(text, &back), 0);
        assert_int_equal(back, value);
    }
}

static void formatting_is_cut_not_overflowed(void **state)
{
    char text[8] = "#######";

    (void)state;
    text_format_duration(31535999999, text, 4);
    assert_memory_equal(text, "315\0###", 8);
}

static void the_nearest_name(void **state)
{
    static const char *const names[] = {"listen", "connect", "connect_timeout", "pump"};
    static const struct {
        const char *text, *nearest;
    } rows[] = {
        {"listen", "listen"}, {"lisen", "listen"},       {"listne", "listen"},
        {"Listen", "listen"}, {"connection", "connect"}, {"conect_timeout", "connect_timeout"},
        {"pmup", "pump"},     {"punp", "pump"},          {"", NULL},
        {"x", NULL},          {"colour", NULL},          {"qqqqqqqqqqqqqqqq", NULL},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const char *nearest = text_nearest(rows[i].text, names, LENGTH(names));

        if (!nearest || !rows[i].nearest)
            assert_ptr_equal(nearest, rows[i].nearest);
        else
            assert_string_equal(nearest, rows[i].nearest);
    }
    assert_null(text_nearest("listen", names, 0));
}

/* Goal: texts and names of any length are compared, not overrun. */
static void the_nearest_of_long_names(void **state)
{
    static char text[3000], name[3000];
    const char *names[] = {name};

    (void)state;
    memset(text, 'a', sizeof text - 1);
    memset(name, 'b', sizeof name - 1);
    assert_null(text_nearest(text, names, 1));
    memset(name, 'a', 40);
    name[40] = '\0';
    text[41] = '\0';
    assert_ptr_equal(text_nearest(text, names, 1), name);
}

static void copying_is_whole_or_not_at_all(void **state)
{
    char out[4] = "###";

    (void)state;
    assert_int_equal(text_copy(out, sizeof out, "abcd", 4), -1);
    assert_string_equal(out, "###");
    assert_int_equal(text_copy(out, sizeof out, "abcd", 3), 0);
    assert_string_equal(out, "abc");
    assert_int_equal(text_copy(out, sizeof out, "abcd", 0), 0);
    assert_string_equal(out, "");
    assert_int_equal(text_copy(out, 0, "", 0), -1);
}

static void comparing_without_case(void **state)
{
    (void)state;
    assert_true(text_equal_nocase("", ""));
    assert_true(text_equal_nocase("Docker_Engine", "docker_eNGINE"));
    assert_false(text_equal_nocase("abc", "abcd"));
    assert_false(text_equal_nocase("abcd", "abc"));
    assert_false(text_equal_nocase("abc", "abd"));
    assert_false(text_equal_nocase("[", "{")); /* they differ by what makes a letter lower */
}

/* Goal: no byte that a terminal obeys is left, and every other one is. */
static void control_characters_are_replaced(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"plain ~ text", "plain ~ text"},
        {"\x1b[2J\r\n\t\x7f\x01", "?[2J?????"},
        {"caf\xc3\xa9 \xc2\xa0", "caf\xc3\xa9 \xc2\xa0"},
        {"\xc2\x9b"
         "2J \xc2\x80\xc2\x9f",
         "??2J ????"},
        {"cut \xc2", "cut \xc2"},
        {"\xff\xfe", "\xff\xfe"},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        strcpy(text, rows[i][0]);
        text_make_printable(text);
        assert_string_equal(text, rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(numbers_have_a_limit),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(formatting_takes_the_largest_unit_that_divides),
        cmocka_unit_test(formatting_round_trips),
        cmocka_unit_test(formatting_is_cut_not_overflowed),
        cmocka_unit_test(the_nearest_name),
        cmocka_unit_test(the_nearest_of_long_names),
        cmocka_unit_test(copying_is_whole_or_not_at_all),
        cmocka_unit_test(comparing_without_case),
        cmocka_unit_test(control_characters_are_replaced),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
