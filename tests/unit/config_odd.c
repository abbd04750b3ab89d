/* Texts that are no configuration, or hardly: very long, binary, unreadable. None may be taken for
 * something else, and no line number may be wrong behind them. */
#include "config_reading.h"

#include "unit.h"

#include <stdlib.h>

#define FORWARD "[forward a]\nlisten = tcp:127.0.0.1:1\nconnect = tcp:127.0.0.1:2\n"

static struct reading reading;
static char text[1 << 20];

#define ASSERT_COMPLAINTS(...) assert_complaints(&reading, (const char *const[]){__VA_ARGS__, NULL})

/* FORWARD, then `start` followed by `count` times 'x' and `end`, then a line that is a mistake. */
static void read_with_long_line(const char *start, size_t count, const char *end)
{
    size_t used = (size_t)sprintf(text, FORWARD "%s", start);

    memset(text + used, 'x', count);
    sprintf(text + used + count, "%s\nmistake = 1\n", end);
    read_text(&reading, text);
}

/* Goal: a line is told to be too long once, however long it is, and the next has its number. */
static void long_lines(void **state)
{
    static const size_t lengths[] = {197, 200, 1000, 4080, 4094, 4095, 4096, 5000, 100000};

    (void)state;
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        read_with_long_line("socket_owner = ", lengths[i], "");
        ASSERT_COMPLAINTS("T:4: the line is longer than", "T:5: unknown key 'mistake'");
    }
}

/* Goal: a comment may be as long as it likes; nothing in it is read. */
static void long_comments(void **state)
{
    static const size_t lengths[] = {200, 4093, 4094, 4095, 4096, 10000, 100000};

    (void)state;
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        read_with_long_line("; ", lengths[i], "\n");
        ASSERT_COMPLAINTS("T:6: unknown key 'mistake'");
        read_with_long_line("# ", lengths[i], " = 1\nbacklog = 5");
        ASSERT_COMPLAINTS("T:6: unknown key 'mistake'");
    }
}

/* Goal: what the configuration promises to read is read, and indentation does not count. */
static void the_longest_line(void **state)
{
    static const int indentations[] = {0, 4, 60};
    const int most = 196; /* bytes */
    char line[256] = "connect = tcp:";
    struct endpoint *connect;

    (void)state;
    memset(line + 14, 'x', (size_t)most - 16);
    strcpy(line + most - 2, ":1");
    for (size_t i = 0; i < LENGTH(indentations); i++) {
        snprintf(text, sizeof text, "[forward a]\n%*s%s\nlisten = tcp:127.0.0.1:1\n",
                 indentations[i], "", line);
        read_text(&reading, text);
        assert_read(&reading);
        connect = &reading.config.forwards->connect;
        assert_int_equal(strlen(connect->u.tcp.host), most - 16);
        assert_int_equal(connect->u.tcp.port, 1);
        reading_free(&reading);
    }
}

/* Goal: a NUL hides nothing: it is a mistake of its line, wherever in the line it stands. */
static void nul_bytes(void **state)
{
    static const char *const lines[] = {
        "backlog = 5%",  "backlog = 5% and more", "%backlog = 5", "back%log = 5", "%",
        "backlog = % 5", "[defaults%]",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(lines); i++) {
        size_t length = (size_t)sprintf(text, FORWARD "%s\nmistake = 1\n", lines[i]);

        *strchr(text, '%') = '\0';
        read_bytes(&reading, text, length);
        if (reading.count != 2)
            print_error("in the line '%s', where %% is a NUL:\n", lines[i]);
        ASSERT_COMPLAINTS("T:4: ", "T:5: unknown key 'mistake'");
    }
}

/* Goal: UTF-16, which some editors write, is refused. */
static void utf16(void **state)
{
    static const char plain[] = FORWARD;
    size_t used = 2;

    (void)state;
    memcpy(text, "\xff\xfe", 2);
    for (size_t i = 0; i < sizeof plain - 1; i++) {
        text[used++] = plain[i];
        text[used++] = '\0';
    }
    read_bytes(&reading, text, used);
    assert_int_equal(reading.status, -1);
    assert_contains(reading.complaints[0], "T:1: ");
}

/* Goal: what a complaint quotes does nothing to the terminal it is shown on. */
static void control_characters(void **state)
{
    (void)state;
    read_text(&reading, FORWARD "pump = \x1b[2J\x07\xc2\x9b"
                                "1m\rx\n[\x1b]\n");
    ASSERT_COMPLAINTS("T:4: pump: '?[2J???1m?x' is not", "T:5: unknown section [?]");
}

/* Goal: any bytes at all end in complaints. */
static void noise(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 1 << 16; i++)
            text[i] = (char)(rand() >> 7);
        read_bytes(&reading, text, 1 << 16);
        assert_int_equal(reading.status, -1);
    }
}

/* 3,332 forwards of three lines each, and the last four lines, of which `mistake` is one. */
static void read_ten_thousand_lines(const char *mistake)
{
    size_t used = 0;
    int forward = 0;

    for (; forward < 3332; forward++)
        used += (size_t)sprintf(text + used,
                                "[forward f%d]\nlisten = tcp:127.0.0.1:%d\nconnect = tcp:h:1\n",
                                forward, forward + 1);
    sprintf(text + used, "[forward last]\nlisten = tcp:127.0.0.1:9\n%s\nconnect = tcp:h:1\n",
            mistake);
    read_text(&reading, text);
}

static void ten_thousand_lines(void **state)
{
    (void)state;
    read_ten_thousand_lines("mistake = 1");
    ASSERT_COMPLAINTS("T:9999: unknown key 'mistake'",
                      "T:9997: forwards 'f8' and 'last' both listen on 'tcp:127.0.0.1:9'");
    read_ten_thousand_lines("; all is well");
    ASSERT_COMPLAINTS("T:9997: forwards 'f8' and 'last' both listen on 'tcp:127.0.0.1:9'");
}

static void files(void **state)
{
    (void)state;
    reading.count = 0;
    assert_int_equal(config_load("no/such/file", &reading.config, reading_complain, &reading), -1);
    ASSERT_COMPLAINTS("no/such/file: cannot open the configuration: No such file or directory");
    reading.count = 0;
    assert_int_equal(config_load(".", &reading.config, reading_complain, &reading), -1);
    assert_int_not_equal(reading.count, 0); /* a folder */
    assert_contains(reading.complaints[0], ".: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_lines),
        cmocka_unit_test(long_comments),
        cmocka_unit_test(the_longest_line),
        cmocka_unit_test(nul_bytes),
        cmocka_unit_test(utf16),
        cmocka_unit_test(control_characters),
        cmocka_unit_test(noise),
        cmocka_unit_test(ten_thousand_lines),
        cmocka_unit_test(files),
    };

    return cmocka_run_group_tests_name("config_odd", tests, NULL, NULL);
}
