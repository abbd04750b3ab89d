/* Every key of the configuration: what it takes, where it goes, what it refuses. */
#include "config/keys.h"
#include "config_reading.h"

#include "unit.h"

#include <inttypes.h>

#define FORWARD "[forward a]\nlisten = tcp:127.0.0.1:1\nconnect = tcp:127.0.0.1:2\n"

static struct reading reading;

/* Reads a configuration with that line in [hvrelay] or in [forward a]. */
static void read_line_of(const char *section, const char *line)
{
    char text[512];

    if (strcmp(section, "hvrelay") == 0)
        snprintf(text, sizeof text, "[hvrelay]\n%s\n" FORWARD, line);
    else
        snprintf(text, sizeof text, FORWARD "%s\n", line);
    read_text(&reading, text);
}

struct setting {
    const char *line;
    uint64_t value;
};

/* A field that several lines set: in both structures fields are 4 or 8 bytes wide. */
static void assert_sets(const char *section, size_t offset, size_t size, const struct setting *rows,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *structure;
        uint32_t narrow = 0;
        uint64_t wide = 0;

        read_line_of(section, rows[i].line);
        assert_read(&reading);
        structure = strcmp(section, "hvrelay") == 0 ? (const char *)&reading.config
                                                    : (const char *)reading.config.forwards;
        memcpy(size == 4 ? (void *)&narrow : (void *)&wide, structure + offset, size);
        if ((size == 4 ? narrow : wide) != rows[i].value)
            fail_msg("'%s' sets %" PRIu64, rows[i].line, size == 4 ? narrow : wide);
        reading_free(&reading);
    }
}

#define FIELD(structure, field)                                                                    \
    offsetof(struct structure, field), sizeof(((struct structure *)0)->field)
#define ASSERT_SETS(section, structure, field, ...)                                                \
    do {                                                                                           \
        static const struct setting rows[] = {__VA_ARGS__};                                        \
        assert_sets(section, FIELD(structure, field), rows, LENGTH(rows));                         \
    } while (0)

static void keys_of_the_program(void **state)
{
    (void)state;
    ASSERT_SETS("hvrelay", config, workers, {"", 0}, {"workers = auto", 0}, {"workers = 1", 1},
                {"workers = 256", 256});
    ASSERT_SETS("hvrelay", config, log_level, {"", LOG_LEVEL_INFO},
                {"log_level = error", LOG_LEVEL_ERROR}, {"log_level = warning", LOG_LEVEL_WARNING},
                {"log_level = info", LOG_LEVEL_INFO}, {"log_level = debug", LOG_LEVEL_DEBUG});
    ASSERT_SETS("hvrelay", config, drain_timeout, {"", 30000}, {"drain_timeout = 250ms", 250},
                {"drain_timeout = off", 0}, {"drain_timeout = 1h", 3600000});
    ASSERT_SETS("hvrelay", config, log_format, {"", LOG_FORMAT_TEXT},
                {"log_format = text", LOG_FORMAT_TEXT}, {"log_format = json", LOG_FORMAT_JSON});
    ASSERT_SETS("hvrelay", config, max_sessions, {"", 0}, {"max_sessions = off", 0},
                {"max_sessions = 1000000", 1000000});
    read_line_of("hvrelay", "log_file = /var/log/hvrelay.log");
    assert_read(&reading);
    assert_string_equal(reading.config.log_file, "/var/log/hvrelay.log");
    reading_free(&reading);
}

static void times_of_a_forward(void **state)
{
    (void)state;
    ASSERT_SETS("forward", forward_config, connect_timeout, {"", 10000},
                {"connect_timeout = 1ms", 1}, {"connect_timeout = 365d", 31536000000});
    ASSERT_SETS("forward", forward_config, connect_retry, {"", 0}, {"connect_retry = off", 0},
                {"connect_retry = 2m", 120000});
    ASSERT_SETS("forward", forward_config, idle_timeout, {"", 0}, {"idle_timeout = 0", 0},
                {"idle_timeout = 5m", 300000});
    ASSERT_SETS("forward", forward_config, half_close_timeout, {"", HALF_CLOSE_UNSET},
                {"half_close_timeout = off", 0}, {"half_close_timeout = 30s", 30000});
    ASSERT_SETS("forward", forward_config, session_timeout, {"", 0},
                {"session_timeout = 1d", 86400000});
    ASSERT_SETS("forward", forward_config, options.keepalive, {"", 60000}, {"keepalive = off", 0},
                {"keepalive = 32767s", 32767000});
    ASSERT_SETS("forward", forward_config, options.user_timeout, {"", 0},
                {"user_timeout = 2m", 120000});
}

static void numbers_of_a_forward(void **state)
{
    (void)state;
    ASSERT_SETS("forward", forward_config, max_sessions, {"", 0}, {"max_sessions = off", 0},
                {"max_sessions = 1", 1}, {"max_sessions = 1000000", 1000000});
    ASSERT_SETS("forward", forward_config, max_pending, {"", 0}, {"max_pending = 7", 7});
    ASSERT_SETS("forward", forward_config, accept_rate, {"", 0},
                {"accept_rate = 1000000", 1000000});
    ASSERT_SETS("forward", forward_config, rate_limit, {"", 0}, {"rate_limit = off", 0},
                {"rate_limit = 10MiB/s", 10 << 20});
    ASSERT_SETS("forward", forward_config, session_rate_limit, {"", 0},
                {"session_rate_limit = 1KiB/s", 1024},
                {"session_rate_limit = 1024GiB/s", UINT64_C(1) << 40});
    ASSERT_SETS("forward", forward_config, options.send_buffer, {"", 0}, {"send_buffer = off", 0},
                {"send_buffer = 1KiB", 1024}, {"send_buffer = 1GiB", 1 << 30});
    ASSERT_SETS("forward", forward_config, options.receive_buffer, {"", 0},
                {"receive_buffer = 64KiB", 65536});
    ASSERT_SETS("forward", forward_config, options.backlog, {"", 4096}, {"backlog = 1", 1},
                {"backlog = 65535", 65535});
    ASSERT_SETS("forward", forward_config, options.socket_mode, {"", 0600},
                {"socket_mode = 0660", 0660}, {"socket_mode = 777", 0777},
                {"socket_mode = 0001", 1});
    ASSERT_SETS("forward", forward_config, pump, {"", PUMP_AUTO}, {"pump = auto", PUMP_AUTO},
                {"pump = stream", PUMP_STREAM});
}

/* Goal: a forward that says `off` goes without what [defaults] sets. */
static void off_wins_over_a_default(void **state)
{
    static const struct {
        const char *key, *value;
        size_t offset, size;
    } keys[] = {
        {"connect_retry", "1s", FIELD(forward_config, connect_retry)},
        {"idle_timeout", "1s", FIELD(forward_config, idle_timeout)},
        {"half_close_timeout", "1s", FIELD(forward_config, half_close_timeout)},
        {"session_timeout", "1s", FIELD(forward_config, session_timeout)},
        {"max_sessions", "3", FIELD(forward_config, max_sessions)},
        {"max_pending", "3", FIELD(forward_config, max_pending)},
        {"accept_rate", "3", FIELD(forward_config, accept_rate)},
        {"rate_limit", "1MiB/s", FIELD(forward_config, rate_limit)},
        {"session_rate_limit", "1MiB/s", FIELD(forward_config, session_rate_limit)},
        {"send_buffer", "1MiB", FIELD(forward_config, options.send_buffer)},
        {"receive_buffer", "1MiB", FIELD(forward_config, options.receive_buffer)},
        {"keepalive", "1s", FIELD(forward_config, options.keepalive)},
        {"user_timeout", "1s", FIELD(forward_config, options.user_timeout)},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(keys); i++) {
        const uint64_t off = 0;
        char text[512];

        snprintf(text, sizeof text, "[defaults]\n%s = %s\n" FORWARD "%s = off\n", keys[i].key,
                 keys[i].value, keys[i].key);
        read_text(&reading, text);
        assert_read(&reading);
        if (memcmp((const char *)reading.config.forwards + keys[i].offset, &off, keys[i].size) != 0)
            fail_msg("%s: off leaves the default", keys[i].key);
        reading_free(&reading);
    }
}

static void texts_of_a_forward(void **state)
{
    static const char *const owners[] = {"user", "user:group", ":group"};

    (void)state;
    for (size_t i = 0; i < LENGTH(owners); i++) {
        char line[64];

        snprintf(line, sizeof line, "socket_owner = %s", owners[i]);
        read_line_of("forward", line);
        assert_read(&reading);
        assert_string_equal(reading.config.forwards->options.socket_owner, owners[i]);
        assert_string_equal(reading.config.forwards->name, "a");
        assert_string_equal(reading.config.forwards->listen.u.tcp.host, "127.0.0.1");
        assert_int_equal(reading.config.forwards->listen.u.tcp.port, 1);
        assert_int_equal(reading.config.forwards->connect.u.tcp.port, 2);
        reading_free(&reading);
    }
}

static void what_happens_at_a_limit(void **state)
{
    static const struct {
        const char *line;
        bool refuse;
    } rows[] = {{"", false}, {"on_limit = wait", false}, {"on_limit = refuse", true}};

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        read_line_of("forward", rows[i].line);
        assert_read(&reading);
        assert_int_equal(reading.config.forwards->refuse_at_limit, rows[i].refuse);
        reading_free(&reading);
    }
}

/* Goal: of all keys only rules may stand more than once, and their order is kept; those of the
 * defaults come first. */
static void rules_repeat(void **state)
{
    const struct access *access;

    (void)state;
    read_text(&reading, "[defaults]\ndeny = 10.0.0.1\n" FORWARD
                        "allow = 10.0.0.0/8\ndeny = all\nallow = ::1\n");
    assert_read(&reading);
    access = &reading.config.forwards->access;
    assert_int_equal(access->count, 4);
    for (unsigned i = 0; i < access->count; i++)
        assert_int_equal(access->rules[i].allow, i % 2);
    reading_free(&reading);
}

/* Goal: the message names line, key and value, and tells what would be right. */
static void wrong_values(void **state)
{
    static const struct {
        const char *section, *key, *value, *takes;
    } rows[] = {
        {"hvrelay", "workers", "0", "is not a number of threads from 1 to 256, or 'auto'"},
        {"hvrelay", "workers", "257", "is not a number of threads"},
        {"hvrelay", "workers", "-1", "is not a number of threads"},
        {"hvrelay", "workers", "off", "is not a number of threads"},
        {"hvrelay", "log_level", "trace", "is not 'error', 'warning', 'info' or 'debug'"},
        {"hvrelay", "drain_timeout", "30", "is not a time such as '250ms', '30s', '5m', '1h' or"},
        {"hvrelay", "log_format", "xml", "is not 'text' or 'json'"},
        {"hvrelay", "max_sessions", "0", "is not a number from 1 to 1000000, or 'off'"},
        {"hvrelay", "control", "tcp:127.0.0.1:1", "is not a 'unix' or 'npipe' endpoint, or 'off'"},
        {"hvrelay", "control", "unix:@name", "is open to every user: give it a path"},
        {"forward", "connect_timeout", "off", "is not a time such as '250ms'"},
        {"forward", "connect_timeout", "0", "(not 'off')"},
        {"forward", "connect_retry", "1 m", "is not a time"},
        {"forward", "idle_timeout", "-5s", "is not a time"},
        {"forward", "half_close_timeout", "366d", "is not a time"},
        {"forward", "max_sessions", "0", "is not a number from 1 to 1000000, or 'off'"},
        {"forward", "max_sessions", "1000001", "is not a number from 1 to 1000000"},
        {"forward", "max_sessions", "10k", "is not a number from 1 to 1000000"},
        {"forward", "max_pending", "0", "is not a number from 1 to 1000000"},
        {"forward", "accept_rate", "1.5", "is not clients a second, from 1 to 1000000"},
        {"forward", "on_limit", "drop", "is not 'wait' or 'refuse'"},
        {"forward", "rate_limit", "1MiB", "is not bytes a second such as '64KiB/s'"},
        {"forward", "rate_limit", "/s", "is not bytes a second"},
        {"forward", "rate_limit", "1000/s", "is not bytes a second"},
        {"forward", "session_rate_limit", "1023B/s", "is not bytes a second"},
        {"forward", "session_rate_limit", "1025GiB/s", "is not bytes a second"},
        {"forward", "allow", "everyone", "is not a rule: it is 'all', a network"},
        {"forward", "deny", "10.0.0.0/33", "is not a rule"},
        {"forward", "keepalive", "32768s", "is not a time of at most 32767s"},
        {"forward", "user_timeout", "30", "is not a time"},
        {"forward", "pump", "fast", "is not 'auto', 'splice', 'copy' or 'stream'"},
        {"forward", "send_buffer", "65536", "is not a size from 1KiB to 1GiB such as '64KiB'"},
        {"forward", "send_buffer", "1023B", "is not a size"},
        {"forward", "receive_buffer", "2GiB", "is not a size"},
        {"forward", "backlog", "0", "is not a number from 1 to 65535"},
        {"forward", "backlog", "65536", "is not a number from 1 to 65535"},
        {"forward", "socket_mode", "0", "is not an octal mode such as '0600' or '0660'"},
        {"forward", "socket_mode", "000", "is not an octal mode"},
        {"forward", "socket_mode", "0888", "is not an octal mode"},
        {"forward", "socket_mode", "1777", "is not an octal mode"},
        {"forward", "socket_mode", "00600", "is not an octal mode"},
        {"forward", "socket_mode", "rw-------", "is not an octal mode"},
        {"forward", "socket_owner", ":", "is not a 'user', 'user:group' or ':group'"},
        {"forward", "socket_owner",
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "is not a 'user'"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char line[128], words[128];

        snprintf(line, sizeof line, "%s = %s", rows[i].key, rows[i].value);
        snprintf(words, sizeof words, "T:%d: %s: '%s' ",
                 strcmp(rows[i].section, "hvrelay") == 0 ? 2 : 4, rows[i].key, rows[i].value);
        read_line_of(rows[i].section, line);
        if (reading.count != 1)
            fail_msg("'%s' makes %d complaints", line, reading.count);
        assert_contains(reading.complaints[0], words);
        assert_contains(reading.complaints[0], rows[i].takes);
    }
}

/* Goal: no key is without a value, and the message tells what it takes. */
static void missing_values(void **state)
{
    const struct key *const tables[] = {program_keys, forward_keys};

    (void)state;
    for (size_t i = 0; i < LENGTH(tables); i++) {
        for (const struct key *key = tables[i]; key->name; key++) {
            char text[256];

            snprintf(text, sizeof text, "[%s]\n%s =\n" FORWARD, i == 0 ? "hvrelay" : "defaults",
                     key->name);
            read_text(&reading, text);
            snprintf(text, sizeof text, "T:2: '%s' has no value: it takes %s", key->name,
                     key->takes);
            assert_complaints(&reading, (const char *const[]){text, NULL});
        }
    }
}

static void endpoints_are_parsed_for_their_role(void **state)
{
    (void)state;
    read_text(&reading, "[forward a]\nlisten = tcp:*:1\nconnect = tcp:*:1\n");
    assert_complaints(&reading, (const char *const[]){"T:3: connect: 'tcp:*:1' is not an endpoint "
                                                      "to connect to: nobody can connect to '*'",
                                                      NULL});
    read_text(&reading, "[forward a]\nlisten = here\nconnect = tcp:127.0.0.1:1\n");
    assert_complaints(&reading, (const char *const[]){"T:2: listen: 'here' is not an endpoint to "
                                                      "listen on: it starts with a family",
                                                      NULL});
}

static void pumps_have_names(void **state)
{
    (void)state;
    assert_string_equal(pump_name(PUMP_AUTO), "auto");
    assert_string_equal(pump_name(PUMP_SPLICE), "splice");
    assert_string_equal(pump_name(PUMP_COPY), "copy");
    assert_string_equal(pump_name(PUMP_STREAM), "stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_the_program),
        cmocka_unit_test(times_of_a_forward),
        cmocka_unit_test(numbers_of_a_forward),
        cmocka_unit_test(off_wins_over_a_default),
        cmocka_unit_test(texts_of_a_forward),
        cmocka_unit_test(what_happens_at_a_limit),
        cmocka_unit_test(rules_repeat),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(missing_values),
        cmocka_unit_test(endpoints_are_parsed_for_their_role),
        cmocka_unit_test(pumps_have_names),
    };

    return cmocka_run_group_tests_name("config_keys", tests, NULL, NULL);
}
