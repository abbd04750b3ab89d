/* What a configuration may ask of a Linux system, and what it may not. */
#include "config_reading.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

static struct reading reading;

static void every_pump(void **state)
{
    static const struct {
        const char *name;
        enum pump pump;
    } rows[] = {
        {"auto", PUMP_AUTO}, {"splice", PUMP_SPLICE}, {"copy", PUMP_COPY}, {"stream", PUMP_STREAM}};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char text[128];

        snprintf(text, sizeof text, "[forward a]\nlisten = unix:@a\nconnect = unix:@b\npump = %s\n",
                 rows[i].name);
        read_text(&reading, text);
        assert_read(&reading);
        assert_int_equal(reading.config.forwards->pump, rows[i].pump);
        reading_free(&reading);
    }
}

/* Goal: one place is one place, however it is written. */
static void names_of_one_socket(void **state)
{
    (void)state;
    read_text(&reading, "[forward a]\nlisten = vsock:local:22\nconnect = unix:@a\n"
                        "[forward b]\nlisten = vsock:1:22\nconnect = unix:@a\n"
                        "[forward c]\nlisten = hyperv:any:22\nconnect = unix:@a\n[forward d]\n"
                        "listen = hyperv:any:00000016-facb-11e6-bd58-64006a7986d3\n"
                        "connect = unix:@a\n");
    assert_complaints(
        &reading,
        (const char *const[]){"T:4: forwards 'a' and 'b' both listen on 'vsock:1:22'",
                              "T:10: forwards 'c' and 'd' both listen on 'hyperv:any:", NULL});
}

static void the_control_socket(void **state)
{
    static const char forward[] = "[forward a]\nlisten = unix:@a\nconnect = unix:@b\n";
    char text[256];

    (void)state;
    read_text(&reading, forward);
    assert_read(&reading);
    assert_false(reading.config.has_control);
    reading_free(&reading);
    snprintf(text, sizeof text, "[hvrelay]\ncontrol = unix:/run/c.sock\n%s", forward);
    read_text(&reading, text);
    assert_read(&reading);
    assert_true(reading.config.has_control);
    assert_string_equal(reading.config.control.u.local.path, "/run/c.sock");
    reading_free(&reading);
    snprintf(text, sizeof text, "[hvrelay]\ncontrol = off\n%s", forward);
    read_text(&reading, text);
    assert_read(&reading);
    assert_false(reading.config.has_control);
    reading_free(&reading);
}

/* Goal: rules may name users and groups that exist. */
static void users_and_groups(void **state)
{
    const struct access *access;

    (void)state;
    read_text(&reading, "[forward a]\nlisten = unix:@a\nconnect = unix:@b\nallow = user=root\n"
                        "allow = group=root\nallow = user=7\n");
    assert_read(&reading);
    access = &reading.config.forwards->access;
    assert_int_equal(access->count, 3);
    assert_int_equal(access->rules[0].kind, ACCESS_USER);
    assert_int_equal(access->rules[0].u.id, 0);
    assert_int_equal(access->rules[1].kind, ACCESS_GROUP);
    assert_int_equal(access->rules[1].u.id, 0);
    assert_int_equal(access->rules[2].u.id, 7);
    reading_free(&reading);
}

#define LISTEN(name, listen) "[forward " name "]\nlisten = " listen "\nconnect = unix:@target\n"

/* Goal: a rule that can match no client of its listener is a mistake, and not a protection that
 * does nothing. */
static void rules_that_never_match(void **state)
{
    static const char text[] = "[forward a]\nlisten = tcp:*:1\nconnect = unix:@target\n"
                               "deny = cid=3\n"
                               "deny = user=root\n"
                               "deny = ::1\n"
                               "[forward b]\nlisten = unix:/b\nconnect = unix:@target\n"
                               "deny = 10.0.0.1\n"
                               "allow = user=0\n"
                               "[forward c]\nlisten = vsock:any:1\nconnect = unix:@target\n"
                               "deny = group=0\n"
                               "allow = cid=3\n"
                               "deny = all\n"
                               "[forward d]\nlisten = hyperv:any:2\nconnect = unix:@target\n"
                               "deny = vm=00000000-0000-0000-0000-000000000001\n"
                               "deny = cid=3\n";

    (void)state;
    read_text(&reading, text);
    assert_complaints(
        &reading,
        (const char *const[]){
            "T:4: deny: a client of 'tcp:*:1' has no CID: the rule can never match",
            "T:5: deny: a client of 'tcp:*:1' has no user: the rule can never match",
            "T:10: deny: a client of 'unix:/b' has no IP address: the rule can never match",
            "T:15: deny: a client of 'vsock:any:1' has no group: the rule can never match",
            "T:21: deny: a client of 'hyperv:any:", NULL});
}

/* Goal: what comes over an inherited socket is known once it is there. */
static void rules_that_may_match(void **state)
{
    static const char *const rules =
        "allow = 10.0.0.1\nallow = ::1\nallow = cid=3\nallow = user=0\n";
    static const char *const listeners[] = {"fd:3", "stdio", "systemd:web"};
    char text[512];

    (void)state;
    for (size_t i = 0; i < LENGTH(listeners); i++) {
        snprintf(text, sizeof text, "[forward a]\nlisten = %s\nconnect = unix:@b\n%s", listeners[i],
                 rules);
        read_text(&reading, text);
        assert_read(&reading);
        reading_free(&reading);
    }
}

/* Goal: defaults may hold rules for several families, each of which some forward can use, as long
 * as every forward lets somebody in. */
static void rules_of_the_defaults(void **state)
{
    (void)state;
    read_text(&reading, "[defaults]\nallow = user=0\nallow = 10.0.0.1\n" LISTEN("a", "unix:/a")
                            LISTEN("b", "tcp:127.0.0.1:1"));
    assert_read(&reading);
    reading_free(&reading);
    read_text(&reading, "[defaults]\nallow = 10.0.0.1\ndeny = cid=3\n" LISTEN("a", "unix:/a")
                            LISTEN("b", "tcp:127.0.0.1:1") LISTEN("c", "tcp:[::1]:1"));
    assert_complaints(
        &reading,
        (const char *const[]){
            "T:4: forward 'a': none of its 'allow' rules can match a client of 'unix:/a': nobody",
            "T:10: forward 'c': none of its 'allow' rules can match a client of 'tcp:[::1]:1'",
            "T:3: deny: no client of any forward has this (CID): the rule can never match", NULL});
}

/* Goal: an abstract name takes no mode and no owner, and so none that would be ignored. */
static void abstract_names_have_no_mode(void **state)
{
    (void)state;
    read_text(&reading, "[defaults]\nsocket_mode = 0600\n" LISTEN("a", "unix:@a")
                            LISTEN("b", "unix:/b") "socket_mode = 0600\n");
    assert_read(&reading);
    reading_free(&reading);
    read_text(&reading, LISTEN("a", "unix:@a") "socket_mode = 0600\n" LISTEN(
                            "b", "unix:@b") "socket_owner = root\n");
    assert_complaints(
        &reading,
        (const char *const[]){
            "T:4: socket_mode: 'unix:@a' is no file, and any user may connect to it: give it",
            "T:8: socket_owner: 'unix:@b' is no file, and any user may connect to it", NULL});
}

static void options_of_hyperv_sockets(void **state)
{
    static const char *const keys[] = {"connected_suspend", "container_passthru", "high_vtl"};
    char text[256], words[128];

    (void)state;
    for (size_t i = 0; i < LENGTH(keys); i++) {
        const char *const format = "[forward a]\nlisten = unix:@a\nconnect = unix:@b\n%s = %s\n";

        snprintf(text, sizeof text, format, keys[i], "no");
        read_text(&reading, text);
        assert_read(&reading);
        reading_free(&reading);
        snprintf(text, sizeof text, format, keys[i], "yes");
        read_text(&reading, text);
        snprintf(words, sizeof words, "T:4: %s: Linux has no such option", keys[i]);
        assert_complaints(&reading, (const char *const[]){words, NULL});
        snprintf(text, sizeof text, format, keys[i], "1");
        read_text(&reading, text);
        snprintf(words, sizeof words, "T:4: %s: '1' is not 'yes' or 'no'", keys[i]);
        assert_complaints(&reading, (const char *const[]){words, NULL});
    }
}

static void every_family_of_linux(void **state)
{
    (void)state;
    read_text(&reading, "[forward a]\nlisten = unix:/run/a\nconnect = vsock:3:1\n"
                        "[forward b]\nlisten = vsock:any:1\nconnect = unix:@b\n"
                        "[forward c]\nlisten = hyperv:any:2\nconnect = hyperv:parent:2\n"
                        "[forward d]\nlisten = fd:3\nconnect = tcp:h:1\n"
                        "[forward e]\nlisten = stdio\nconnect = fd:4\n"
                        "[forward f]\nlisten = systemd:f\nconnect = unix:@f\n");
    assert_read(&reading);
    assert_int_equal(reading.config.count, 6);
    reading_free(&reading);
}

/* Goal: what can't work on Linux is refused before anything runs, in a sentence that says why. */
static void what_only_others_have(void **state)
{
    (void)state;
    read_text(&reading, "[forward a]\nlisten = npipe:x\nconnect = hyperv:wsl:1\n"
                        "[forward b]\nlisten = unix:@b\nconnect = hyperv:name=box:1\n"
                        "[forward c]\nlisten = unix:@c\n"
                        "connect = hyperv:parent:01234567-89ab-cdef-0123-456789abcdef\n"
                        "[forward d]\nlisten = hyperv:any:name=ssh\nconnect = unix:@d\n"
                        "[forward e]\nlisten = unix:@e\nconnect = hybrid:/e:1\n");
    assert_complaints(&reading, (const char *const[]){
                                    "cannot use 'npipe:x': named pipes exist on Windows only",
                                    "cannot use 'hyperv:wsl:1': this VM exists on a Windows host",
                                    "cannot use 'hyperv:name=box:1': a Linux guest cannot name",
                                    "reaches only services on the template",
                                    "services are registered by name on the Windows host only",
                                    "'hybrid' is not supported by this version",
                                    NULL,
                                });
    for (int i = 0; i < reading.count; i++)
        assert_memory_equal(reading.complaints[i], "T:", 2);
}

/* Goal: such an endpoint and another mistake are told in one go. */
static void beside_other_mistakes(void **state)
{
    (void)state;
    read_text(&reading, "[forward a]\nlisten = npipe:x\nconnect = tcp:h:1\nmistake = 1\n");
    assert_int_equal(reading.count, 2);
    assert_contains(reading.complaints[0], "T:4: unknown key 'mistake'");
    assert_contains(reading.complaints[1], "cannot use 'npipe:x'");
}

/* Goal: a process has one standard input and output, whoever asks for it. */
static void one_stream_for_two_forwards(void **state)
{
    static const char *const texts[] = {
        "[forward a]\nlisten = stdio\nconnect = unix:@a\n"
        "[forward b]\nlisten = stdio\nconnect = unix:@b\n",
        "[forward a]\nlisten = fd:3\nconnect = unix:@a\n"
        "[forward b]\nlisten = fd:3\nconnect = unix:@b\n",
        "[forward a]\nlisten = stdio\nconnect = unix:@a\n"
        "[forward b]\nlisten = unix:@b\nconnect = stdio\n",
        "[forward a]\nlisten = stdio\nconnect = stdio\n",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        read_text(&reading, texts[i]);
        if (reading.count != 1)
            fail_msg("%d complaints about '%s'", reading.count, texts[i]);
    }
}

/* Goal: 'hvrelay reload' never asks where a control socket may not be. */
static void only_a_good_control_socket_is_found(void **state)
{
    static const char *const values[] = {"unix:@name", "tcp:127.0.0.1:1", "unix:", "nonsense"};
    char path[] = "/tmp/hvrelay-config-XXXXXX", text[512];
    int fd = mkstemp(path);
    struct endpoint control;
    struct err err;

    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < LENGTH(values); i++) {
        int length = snprintf(text, sizeof text, "[hvrelay]\ncontrol = %s\n", values[i]);

        assert_int_equal(pwrite(fd, text, (size_t)length, 0), length);
        assert_int_equal(ftruncate(fd, length), 0);
        assert_int_equal(config_find_control(path, &control, &err), -1);
        assert_contains(err.msg, "there is no 'control'");
    }
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pump),
        cmocka_unit_test(names_of_one_socket),
        cmocka_unit_test(the_control_socket),
        cmocka_unit_test(only_a_good_control_socket_is_found),
        cmocka_unit_test(users_and_groups),
        cmocka_unit_test(rules_that_never_match),
        cmocka_unit_test(rules_that_may_match),
        cmocka_unit_test(rules_of_the_defaults),
        cmocka_unit_test(abstract_names_have_no_mode),
        cmocka_unit_test(options_of_hyperv_sockets),
        cmocka_unit_test(every_family_of_linux),
        cmocka_unit_test(what_only_others_have),
        cmocka_unit_test(beside_other_mistakes),
        cmocka_unit_test(one_stream_for_two_forwards),
    };

    return cmocka_run_group_tests_name("config_linux", tests, NULL, NULL);
}
