/* The text of a configuration: sections, forms of lines, and mistakes with their line numbers. */
#include "config_reading.h"

#include "unit.h"

#include <stdlib.h>

#define TCP(n)           "tcp:127.0.0.1:" #n
#define FORWARD(name, n) "[forward " name "]\nlisten = " TCP(n) "\nconnect = " TCP(9999) "\n"

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

static struct reading reading;

static void read_good(const char *text)
{
    read_text(&reading, text);
    assert_read(&reading);
}

#define ASSERT_COMPLAINTS(...) assert_complaints(&reading, (const char *const[]){__VA_ARGS__, NULL})

static void forwards_come_in_order(void **state)
{
    (void)state;
    read_good(FORWARD("b", 1) FORWARD("a", 2) FORWARD("c.d-e_f9", 3));
    assert_int_equal(reading.config.count, 3);
    assert_string_equal(reading.config.forwards[0].name, "b");
    assert_string_equal(reading.config.forwards[1].name, "a");
    assert_string_equal(reading.config.forwards[2].name, "c.d-e_f9");
    reading_free(&reading);
}

static void defaults_are_where_forwards_start(void **state)
{
    (void)state;
    read_good("[hvrelay]\nworkers = 3\n[defaults]\nidle_timeout = 7s\nbacklog = 9\n" FORWARD(
        "a", 1) "backlog = 8\n" FORWARD("b", 2));
    assert_int_equal(reading.config.workers, 3);
    assert_int_equal(reading.config.forwards[0].idle_timeout, 7000);
    assert_int_equal(reading.config.forwards[0].options.backlog, 8);
    assert_int_equal(reading.config.forwards[1].idle_timeout, 7000);
    assert_int_equal(reading.config.forwards[1].options.backlog, 9);
    reading_free(&reading);
}

/* Goal: whatever an editor makes of the same text, it reads the same. */
static void all_editors_are_welcome(void **state)
{
    static const char *const texts[] = {
        "[forward a]\nlisten = " TCP(1) "\nconnect = " TCP(2) "\nidle_timeout = 5s",
        "[forward a]\r\nlisten = " TCP(1) "\r\nconnect = " TCP(2) "\r\nidle_timeout = 5s\r\n",
        "\xEF\xBB\xBF[forward a]\nlisten=" TCP(1) "\nconnect=" TCP(2) "\nidle_timeout=5s\n",
        "\xEF\xBB\xBF\r\n[forward a]\r\nlisten:" TCP(1) "\r\nconnect:" TCP(2) "\nidle_timeout:5s",
        "  [forward a]  \n\tlisten = " TCP(1) " \t\n   connect   =   " TCP(
            2) "\n\t\tidle_timeout = 5s",
        "[forward   a] ; why\nlisten = " TCP(1) " ; because\nconnect = " TCP(
            2) "\nidle_timeout = 5s",
        "# one\n; two\n\n  # three = 3\n;[defaults]\n[forward a] # four\nlisten = " TCP(
            1) "\n\n\nconnect = " TCP(2) "\n   ; five\nidle_timeout = 5s\n#",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        read_good(texts[i]);
        assert_int_equal(reading.config.count, 1);
        assert_string_equal(reading.config.forwards->name, "a");
        assert_int_equal(reading.config.forwards->listen.u.tcp.port, 1);
        assert_int_equal(reading.config.forwards->connect.u.tcp.port, 2);
        assert_int_equal(reading.config.forwards->idle_timeout, 5000);
        reading_free(&reading);
    }
}

static void sections_that_are_not(void **state)
{
    (void)state;
    read_text(&reading,
              "[hvrely]\n[default]\n[forwards a]\n[]\n[quite something]\n" FORWARD("a", 1));
    ASSERT_COMPLAINTS("T:1: unknown section [hvrely], did you mean [hvrelay]?",
                      "T:2: unknown section [default], did you mean [defaults]?",
                      "T:3: unknown section [forwards a], did you mean [forward NAME]?",
                      "T:4: unknown section [], did you mean [forward NAME]?",
                      "T:5: unknown section [quite something], did you mean [forward NAME]?");
    read_text(&reading, "[hvrelay\n[hvrelay] workers = 1\nworkers = 7\n" FORWARD("a", 1));
    ASSERT_COMPLAINTS("T:1: a section is written '[NAME]', alone on its line",
                      "T:2: a section is written '[NAME]', alone on its line");
}

static void names_of_forwards(void **state)
{
    static const char *const wrong[] = {"", "a b", "a/b", "\xc3\xa9", "a:b", "a'b", X64};

    (void)state;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        char text[512];

        snprintf(text, sizeof text, "[forward %s]\nlisten = nonsense\n" FORWARD("a", 1), wrong[i]);
        read_text(&reading, text);
        snprintf(text, sizeof text, "T:1: '%s' is not a name for a forward: 1 to 63 letters",
                 wrong[i]);
        ASSERT_COMPLAINTS(text);
    }
}

static void keys_that_are_not(void **state)
{
    (void)state;
    read_text(&reading, "[hvrelay]\nworker = 1\nlisten = x\n[defaults]\nworkers = 2\n" FORWARD(
                            "a", 1) "idle-timeout = 1s\nqqqqqqqqqq = 1\n= 1\n");
    ASSERT_COMPLAINTS("T:2: unknown key 'worker', did you mean 'workers'?",
                      "T:3: unknown key 'listen'", "T:5: unknown key 'workers'",
                      "T:9: unknown key 'idle-timeout', did you mean 'idle_timeout'?",
                      "T:10: unknown key 'qqqqqqqqqq'", "T:11: unknown key ''");
}

static void what_stands_twice(void **state)
{
    (void)state;
    read_text(&reading, "[hvrelay]\nworkers = 1\nworkers = 1\n[defaults]\nbacklog = 1\n[hvrelay]\n"
                        "[defaults]\n" FORWARD("a", 1) "listen = " TCP(3) "\n" FORWARD("a", 2));
    ASSERT_COMPLAINTS("T:3: 'workers' stands twice, first on line 2",
                      "T:6: section [hvrelay] stands twice, first on line 1",
                      "T:7: section [defaults] stands twice, first on line 4",
                      "T:11: 'listen' stands twice, first on line 9",
                      "T:12: there is a forward 'a' already, on line 8");
}

static void endpoints_that_two_listen_on(void **state)
{
    (void)state;
    read_text(&reading, FORWARD("a", 1) FORWARD("b", 2) FORWARD("c", 1));
    ASSERT_COMPLAINTS("T:7: forwards 'a' and 'c' both listen on 'tcp:127.0.0.1:1'");
    read_good(FORWARD("a", 0) FORWARD("b", 0)); /* any free port, twice */
    reading_free(&reading);
}

#define PAIR(listen, connect) "[forward a]\nlisten = " listen "\nconnect = " connect "\n"

/* Goal: a forward whose clients would be its own clients again is refused; one that only looks so
 * is not. */
static void forwards_to_themselves(void **state)
{
    static const char *const loops[] = {
        PAIR("tcp:127.0.0.1:80", "tcp:127.0.0.1:80"), PAIR("tcp:*:80", "tcp:127.0.0.2:80"),
        PAIR("tcp:*:80", "tcp:localhost:80"),         PAIR("tcp:*:80", "tcp:[::1]:80"),
        PAIR("vsock:local:22", "vsock:1:22"),         PAIR("vsock:any:22", "vsock:local:22"),
        PAIR("tcp:[::1]:80", "tcp:[::1]:80"),
    };
    static const char *const good[] = {
        PAIR("tcp:127.0.0.1:80", "tcp:127.0.0.1:81"), PAIR("tcp:127.0.0.1:80", "tcp:127.0.0.2:80"),
        PAIR("tcp:*:80", "tcp:127.0.0.1:81"),         PAIR("tcp:*:80", "tcp:10.0.0.1:80"),
        PAIR("tcp:127.0.0.1:0", "tcp:127.0.0.1:80"),  PAIR("tcp:127.0.0.1:80", "tcp:[::1]:80"),
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(loops); i++) {
        read_text(&reading, loops[i]);
        assert_in_range(reading.count, 1, 3); /* without vsock both endpoints are wrong, too */
        assert_contains(reading.complaints[reading.count - 1],
                        "T:1: forward 'a' connects to itself");
    }
    for (size_t i = 0; i < LENGTH(good); i++) {
        read_good(good[i]);
        reading_free(&reading);
    }
}

static void what_is_missing(void **state)
{
    (void)state;
    read_text(&reading, "");
    ASSERT_COMPLAINTS("T: there is no [forward NAME] section: nothing to do");
    read_text(&reading, "# only a comment\n[hvrelay]\nworkers = 2\n");
    ASSERT_COMPLAINTS("T: there is no [forward NAME] section: nothing to do");
    read_text(&reading,
              "[forward a]\n\n[forward b]\nconnect = " TCP(1) "\n[forward c]\nlisten = " TCP(2));
    ASSERT_COMPLAINTS("T:1: forward 'a' has no 'listen'", "T:1: forward 'a' has no 'connect'",
                      "T:3: forward 'b' has no 'listen'", "T:5: forward 'c' has no 'connect'");
}

/* Goal: what a forward would not take from [defaults] is not taken there either. */
static void endpoints_are_no_defaults(void **state)
{
    (void)state;
    read_text(&reading, "[defaults]\nlisten = " TCP(3) "\nconnect = " TCP(4) "\n" FORWARD("a", 1));
    assert_int_equal(reading.count, 2);
    assert_contains(reading.complaints[0], "T:2: ");
    assert_contains(reading.complaints[1], "T:3: ");
}

static void what_stands_in_the_wrong_place(void **state)
{
    (void)state;
    read_text(&reading, "workers = 1\nlisten = x\n" FORWARD("a", 1) "[defaults]\nbacklog = 1\n"
                                                                    "[hvrelay]\nworkers = 1\n");
    ASSERT_COMPLAINTS("T:1: 'workers' stands before any section",
                      "T:2: 'listen' stands before any section",
                      "T:6: section [defaults] must stand before the first [forward ...]",
                      "T:8: section [hvrelay] must stand before the first [forward ...]");
}

static void lines_that_are_no_lines(void **state)
{
    (void)state;
    read_text(&reading, FORWARD("a", 1) "nonsense\n  more of it\nlisten\n");
    ASSERT_COMPLAINTS("T:4: 'nonsense' is not of the form KEY = VALUE",
                      "T:5: 'more of it' is not of the form KEY = VALUE",
                      "T:6: 'listen' is not of the form KEY = VALUE");
}

/* Goal: all mistakes of a text are told in one go, whatever kind they are. */
static void all_mistakes_in_one_go(void **state)
{
    (void)state;
    read_text(&reading,
              "[hvrelay]\nworkers = none\n\n[defaults]\npump = fast\n\n" FORWARD(
                  "a", 1) "idle_time = 1s\n\n" FORWARD("b", 1) "[forward c]\nlisten = x\n");
    ASSERT_COMPLAINTS("T:2: workers: 'none' is not", "T:5: pump: 'fast' is not",
                      "T:10: unknown key 'idle_time'", "T:16: listen: 'x' is not an endpoint",
                      "T:15: forward 'c' has no 'connect'",
                      "T:12: forwards 'a' and 'b' both listen on");
}

/* Goal: a mistake that takes the only forward away is not told as a second one. */
static void one_mistake_is_one_line(void **state)
{
    (void)state;
    read_text(&reading, "[forward no/name]\nlisten = " TCP(1) "\nconnect = " TCP(2) "\n");
    ASSERT_COMPLAINTS("T:1: 'no/name' is not a name for a forward");
    read_text(&reading, "[forwards]\n");
    ASSERT_COMPLAINTS("T:1: unknown section [forwards]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_mistake_is_one_line),
        cmocka_unit_test(forwards_come_in_order),
        cmocka_unit_test(defaults_are_where_forwards_start),
        cmocka_unit_test(all_editors_are_welcome),
        cmocka_unit_test(sections_that_are_not),
        cmocka_unit_test(names_of_forwards),
        cmocka_unit_test(keys_that_are_not),
        cmocka_unit_test(what_stands_twice),
        cmocka_unit_test(endpoints_that_two_listen_on),
        cmocka_unit_test(forwards_to_themselves),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(endpoints_are_no_defaults),
        cmocka_unit_test(what_stands_in_the_wrong_place),
        cmocka_unit_test(lines_that_are_no_lines),
        cmocka_unit_test(all_mistakes_in_one_go),
    };

    return cmocka_run_group_tests_name("config_text", tests, NULL, NULL);
}
