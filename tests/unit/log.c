/* The log, read from a pipe that stands in for standard error. */
#include "base/log.h"

#include "unit.h"

#include <fcntl.h>
#include <regex.h>
#include <unistd.h>

static char seen[1 << 16];
static int terminal, ends[2];

static int begin(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_INFO);
    terminal = dup(2);
    if (terminal < 0 || pipe2(ends, O_NONBLOCK) != 0)
        return -1;
    return dup2(ends[1], 2) == 2 ? 0 : -1;
}

/* Gives standard error back; `seen` is what was written meanwhile. */
static void stop_listening(void)
{
    ssize_t count = read(ends[0], seen, sizeof seen - 1);

    if (terminal >= 0)
        dup2(terminal, 2);
    close(terminal);
    terminal = -1;
    seen[count > 0 ? count : 0] = '\0';
}

static int end(void **state)
{
    (void)state;
    if (terminal >= 0)
        stop_listening();
    return close(ends[0]) == 0 && close(ends[1]) == 0 ? 0 : -1;
}

static void assert_matches(const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, seen, 0, NULL, 0) != 0)
        fail_msg("'%s' does not match '%s'", seen, pattern);
    regfree(&regex);
}

static size_t count_lines(void)
{
    size_t lines = 0;

    for (const char *c = seen; *c; c++)
        lines += *c == '\n';
    return lines;
}

static void a_line_has_time_level_and_text(void **state)
{
    (void)state;
    log_warning("the %s of %d", "end", 7);
    stop_listening();
    assert_matches("^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "
                   "warning: the end of 7\n$");
}

/* Goal: of the four levels those up to the one that is set are written, and no others. */
static void the_level_filters(void **state)
{
    static const char *const lines[] = {"Z error: e\n", "Z warning: w\n", "Z info: i\n",
                                        "Z debug: d\n"};

    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        if (terminal < 0)
            assert_int_equal(begin(state), 0);
        log_set_level((enum log_level)level);
        log_error("e");
        log_warning("w");
        log_info("i");
        log_debug("d");
        stop_listening();
        assert_int_equal(count_lines(), level + 1);
        for (int i = 0; i <= level; i++)
            assert_contains(seen, lines[i]);
        if (level < LOG_LEVEL_DEBUG) {
            close(ends[0]);
            close(ends[1]);
        }
    }
}

static void levels_have_names(void **state)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const char *const wrong[] = {"", "Info", "warn", "trace", "info "};
    enum log_level level;

    (void)state;
    for (size_t i = 0; i < LENGTH(names); i++) {
        assert_int_equal(log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
    for (size_t i = 0; i < LENGTH(wrong); i++)
        assert_int_equal(log_level_parse(wrong[i], &level), -1);
}

/* Goal: no byte of a name can begin a line or reach the terminal as a command; what is not ASCII
 * stays readable. */
static void control_characters_are_replaced(void **state)
{
    char every[0x22];

    (void)state;
    for (char c = 1; c <= 0x20; c++)
        every[c - 1] = c;
    every[0x20] = 0x7f;
    every[0x21] = '\0';
    log_info("from %s", "x\n2026-01-01T00:00:00.000Z error: forged");
    log_info("[%s]", every);
    log_info("caf\xc3\xa9");
    stop_listening();
    assert_int_equal(count_lines(), 3);
    assert_contains(seen, "info: from x?2026-01-01T00:00:00.000Z error: forged\n");
    assert_contains(seen, "[??????????????????????????????? ?]\n");
    assert_contains(seen, "info: caf\xc3\xa9\n");
}

/* Goal: a line that is too long is cut, and still is one line. */
static void a_long_line_is_cut(void **state)
{
    static char text[5000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    log_info("%s", text);
    log_info("next");
    stop_listening();
    assert_int_equal(count_lines(), 2);
    assert_matches("info: x{900,1100}\n");
    assert_matches("x\n[^x]* info: next\n$");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_level_and_text, begin, end),
        cmocka_unit_test_setup_teardown(the_level_filters, begin, end),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test_setup_teardown(control_characters_are_replaced, begin, end),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut, begin, end),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
