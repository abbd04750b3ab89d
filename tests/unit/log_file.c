/* The log in a file, and as JSON. */
#include "base/log.h"

#include "unit.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96], seen[1 << 16];

static int setup(void **state)
{
    struct err err;

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hvrelay-log-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    log_set_level(LOG_LEVEL_INFO);
    log_set_format(LOG_FORMAT_TEXT);
    return log_open(path, &err);
}

static int teardown(void **state)
{
    struct err err;

    (void)state;
    unlink(path);
    return log_open("", &err) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

/* Reads a whole file to `seen`. */
static void read_log(const char *from)
{
    FILE *file = fopen(from, "r");
    size_t count;

    assert_non_null(file);
    count = fread(seen, 1, sizeof seen - 1, file);
    fclose(file);
    seen[count] = '\0';
}

static void assert_matches(const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, seen, 0, NULL, 0) != 0)
        fail_msg("'%s' does not match '%s'", seen, pattern);
    regfree(&regex);
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

static void lines_are_appended(void **state)
{
    struct err err;

    (void)state;
    log_info("one");
    assert_ok(log_open(path, &err));
    log_info("two");
    read_log(path);
    assert_matches("^" TIME " info: one\n" TIME " info: two\n$");
}

/* Goal: whatever the umask, no stranger reads the log, or writes lines of his own to it. */
static void a_new_file_is_for_its_owner_to_write(void **state)
{
    mode_t before = umask(0);
    struct stat info;
    struct err err;

    (void)state;
    unlink(path);
    assert_ok(log_open(path, &err));
    umask(before);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

/* Goal: as logrotate does it, night by night: moved away, told, and no line is lost. */
static void a_file_that_is_moved_away(void **state)
{
    char old[112];

    (void)state;
    snprintf(old, sizeof old, "%s.1", path);
    for (int night = 0; night < 3; night++) {
        log_info("one");
        assert_int_equal(rename(path, old), 0);
        log_info("two");
        log_reopen();
        read_log(old);
        assert_matches("^" TIME " info: one\n" TIME " info: two\n$");
        unlink(old);
    }
    log_info("three");
    read_log(path);
    assert_matches("^" TIME " info: three\n$");
}

/* Goal: what is prepared changes nothing until it is switched to, and can be given up. */
static void another_file_is_prepared(void **state)
{
    struct log_target *target;
    struct err err;
    char other[112];

    (void)state;
    snprintf(other, sizeof other, "%s.other", path);
    assert_ok(log_prepare(other, &target, &err));
    log_info("one");
    log_discard(target);
    log_info("two");
    assert_ok(log_prepare(other, &target, &err));
    log_info("three");
    log_switch(target);
    log_info("four");
    read_log(path);
    assert_matches("^" TIME " info: one\n" TIME " info: two\n" TIME " info: three\n$");
    read_log(other);
    assert_matches("^" TIME " info: four\n$");
    unlink(other);
}

/* Goal: a log that can't be had leaves the one there is. */
static void a_file_that_cannot_be_opened(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(log_open("/no/such/folder/log", &err), -1);
    assert_string_equal(err.msg, "cannot open the log file '/no/such/folder/log': no such file or "
                                 "directory");
    log_info("still here");
    read_log(path);
    assert_contains(seen, "still here");
}

static const struct log_field fields[] = {{"forward", "a", 0}, {"bytes_up", NULL, UINT64_MAX}};

static void text_shows_the_message_only(void **state)
{
    (void)state;
    log_event(LOG_LEVEL_WARNING, fields, LENGTH(fields), "the %s", "end");
    read_log(path);
    assert_matches("^" TIME " warning: the end\n$");
}

static void json_has_message_and_fields(void **state)
{
    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    log_event(LOG_LEVEL_WARNING, fields, LENGTH(fields), "the %s", "end");
    log_info("plain");
    read_log(path);
    assert_matches("^\\{\"time\":\"" TIME "\",\"level\":\"warning\",\"message\":\"the end\","
                   "\"forward\":\"a\",\"bytes_up\":18446744073709551615\\}\n"
                   "\\{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"plain\"\\}\n$");
}

static void the_level_filters_events_too(void **state)
{
    (void)state;
    log_event(LOG_LEVEL_DEBUG, fields, LENGTH(fields), "not this");
    read_log(path);
    assert_string_equal(seen, "");
}

/* Goal: whatever the message and the fields hold, a line is one JSON object (RFC 8259: no control
 * characters, quotes escaped, UTF-8). */
static void json_holds_anything(void **state)
{
    static const struct log_field odd[] = {
        {"quotes", "\"\\", 0},
        {"control", "a\tb\nc\x7f", 0},
        {"bytes", "caf\xc3\xa9 \xff", 0},
        {"surrogates", "\xed\x9f\xbf \xed\xa0\x80 \xed\xbf\xbf \xee\x80\x80", 0}};

    (void)state;
    log_set_format(LOG_FORMAT_JSON);
    log_event(LOG_LEVEL_INFO, odd, LENGTH(odd), "say \"\\%s", "\n\xff");
    read_log(path);
    assert_contains(seen, "\"message\":\"say \\\"\\\\??\"");
    assert_contains(seen, "\"quotes\":\"\\\"\\\\\"");
    assert_contains(seen, "\"control\":\"a?b?c");
    assert_contains(seen, "\"bytes\":\"caf\xc3\xa9 ?\",");
    assert_contains(seen, "\"surrogates\":\"\xed\x9f\xbf ??? ??? \xee\x80\x80\"}\n");
}

/* Goal: what does not fit is cut inside its text: the object still ends. */
static void json_is_whole_however_long(void **state)
{
    static char quotes[1000];
    const struct log_field many[] = {
        {"a", quotes, 0}, {"b", quotes, 0}, {"c", quotes, 0}, {"d", NULL, 7}};
    size_t length;

    (void)state;
    memset(quotes, '"', sizeof quotes - 1);
    log_set_format(LOG_FORMAT_JSON);
    log_event(LOG_LEVEL_INFO, many, LENGTH(many), "%s", quotes);
    read_log(path);
    length = strlen(seen);
    assert_string_equal(seen + length - 2, "}\n");
    assert_ptr_equal(strchr(seen, '\n'), seen + length - 1);
}

static void formats_have_names(void **state)
{
    enum log_format format;

    (void)state;
    assert_int_equal(log_format_parse("text", &format), 0);
    assert_int_equal(format, LOG_FORMAT_TEXT);
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_FORMAT_JSON);
    assert_int_equal(log_format_parse("JSON", &format), -1);
    assert_int_equal(log_format_parse("", &format), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_appended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_file_is_for_its_owner_to_write, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_moved_away, setup, teardown),
        cmocka_unit_test_setup_teardown(another_file_is_prepared, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(text_shows_the_message_only, setup, teardown),
        cmocka_unit_test_setup_teardown(json_has_message_and_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(the_level_filters_events_too, setup, teardown),
        cmocka_unit_test_setup_teardown(json_holds_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(json_is_whole_however_long, setup, teardown),
        cmocka_unit_test(formats_have_names),
    };

    return cmocka_run_group_tests_name("log_file", tests, NULL, NULL);
}
