/* The configuration that a command line is. */
#include "config_reading.h"

#include "unit.h"

static struct reading reading;

/* Settings up to a NULL. */
static void read_arguments(const char *listen, const char *connect, const char *const *settings)
{
    char *list[16] = {NULL};
    int count = 0;

    for (; settings[count]; count++)
        list[count] = (char *)(uintptr_t)settings[count];
    reading.count = 0;
    reading.status = config_from_arguments("forward", listen, connect, list, count, &reading.config,
                                           reading_complain, &reading);
    assert_int_equal(reading.status, reading.count > 0 ? -1 : 0);
}

#define READ(listen, connect, ...)                                                                 \
    read_arguments(listen, connect, (const char *const[]){__VA_ARGS__, NULL})
#define ASSERT_COMPLAINTS(...) assert_complaints(&reading, (const char *const[]){__VA_ARGS__, NULL})

static void a_pair_is_one_forward(void **state)
{
    const struct forward_config *forward;

    (void)state;
    READ("tcp:127.0.0.1:1", "tcp:[::1]:2", NULL);
    assert_read(&reading);
    forward = reading.config.forwards;
    assert_int_equal(reading.config.count, 1);
    assert_string_equal(forward->name, "forward");
    assert_int_equal(forward->listen.u.tcp.port, 1);
    assert_string_equal(forward->connect.u.tcp.host, "::1");
    assert_int_equal(forward->connect_timeout, 10000); /* the defaults of a file */
    assert_int_equal(forward->options.backlog, 4096);
    assert_int_equal(forward->options.socket_mode, 0600);
    assert_int_equal(reading.config.drain_timeout, 30000);
    assert_int_equal(reading.config.log_level, LOG_LEVEL_INFO);
    reading_free(&reading);
}

/* Goal: keys of the forward and of the program; the last of one wins. */
static void settings_are_keys(void **state)
{
    (void)state;
    READ("tcp:127.0.0.1:1", "stdio", "idle_timeout=5s", "workers=3", "log_level=error",
         "idle_timeout=7s", "socket_owner=a:b", "backlog=10");
    assert_read(&reading);
    assert_int_equal(reading.config.workers, 3);
    assert_int_equal(reading.config.log_level, LOG_LEVEL_ERROR);
    assert_int_equal(reading.config.forwards->idle_timeout, 7000);
    assert_int_equal(reading.config.forwards->options.backlog, 10);
    assert_string_equal(reading.config.forwards->options.socket_owner, "a:b");
    reading_free(&reading);
}

/* Goal: all mistakes at once, each named by its argument. */
static void mistakes(void **state)
{
    (void)state;
    READ("here", "tcp:*:1", "idle_timeout", "idle_timeout=5", "idle_timeuot=5s", "=1",
         "backlog=", "worker=2");
    ASSERT_COMPLAINTS("arguments: 'here' is not an endpoint to listen on",
                      "arguments: 'tcp:*:1' is not an endpoint to connect to",
                      "arguments: 'idle_timeout' is not of the form KEY=VALUE",
                      "arguments: idle_timeout: '5' is not a time",
                      "arguments: unknown key 'idle_timeuot', did you mean 'idle_timeout'?",
                      "arguments: unknown key ''", "arguments: backlog: '' is not a number",
                      "arguments: unknown key 'worker', did you mean 'workers'?");
}

static void a_key_of_any_length(void **state)
{
    char setting[3000];

    (void)state;
    memset(setting, 'x', sizeof setting);
    strcpy(setting + sizeof setting - 3, "=1");
    READ("tcp:127.0.0.1:1", "stdio", setting);
    assert_int_equal(reading.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_is_one_forward),
        cmocka_unit_test(settings_are_keys),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(a_key_of_any_length),
    };

    return cmocka_run_group_tests_name("config_arguments", tests, NULL, NULL);
}
