/* Forwards whose VM or driver is not there yet: when it is tried again, and what the log tells. The
 * clock is the test's own, and so is what there is to listen on: no VM socket is opened. */
#include "app/roster.h"

#include "unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ATTEMPTS = 60, LONGEST = 30000 /* ms */ };

static bool may_open;
static uint64_t planned;
static uv_timer_cb attempt;
static unsigned attempts, warnings, lines;
static char last[256];

/* The linker puts these in the place of the real ones. */
int __real_listener_open(const struct endpoint *endpoint, const struct sock_options *options,
                         struct listener **out, struct err *err);
int __wrap_listener_open(const struct endpoint *endpoint, const struct sock_options *options,
                         struct listener **out, struct err *err);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb call, uint64_t timeout, uint64_t repeat);
void __wrap_log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void __wrap_log_warning(const char *format, ...) PRINTF_LIKE(1, 2);

int __wrap_listener_open(const struct endpoint *endpoint, const struct sock_options *options,
                         struct listener **out, struct err *err)
{
    struct endpoint other;

    attempts++;
    if (!may_open || endpoint->u.vsock.port != 1)
        return err_system(err, UV_ENODEV, "cannot listen");
    if (endpoint_parse("tcp:127.0.0.1:0", ENDPOINT_LISTEN, &other, err) != 0)
        return -1;
    return __real_listener_open(&other, options, out, err);
}

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb call, uint64_t timeout, uint64_t repeat)
{
    (void)timer;
    (void)repeat;
    attempt = call;
    planned = timeout;
    return 0;
}

void __wrap_log_info(const char *format, ...)
{
    va_list arguments;

    lines++;
    va_start(arguments, format);
    vsnprintf(last, sizeof last, format, arguments);
    va_end(arguments);
}

void __wrap_log_warning(const char *format, ...)
{
    (void)format;
    lines++;
    warnings++;
}

struct rig {
    uv_loop_t loop;
    struct crew crew; /* no workers: so there are no gates to open */
    struct forward_config forwards[2];
    struct config config;
    struct roster *roster;
};

static void add(struct rig *rig, const char *name, const char *listen)
{
    struct forward_config *forward = &rig->forwards[rig->config.count++];
    struct err err;

    snprintf(forward->name, sizeof forward->name, "%s", name);
    assert_ok(endpoint_parse(listen, ENDPOINT_LISTEN, &forward->listen, &err));
    assert_ok(endpoint_parse("tcp:127.0.0.1:1", ENDPOINT_CONNECT, &forward->connect, &err));
    forward->options.backlog = 1;
}

static int begin(void **state)
{
    static struct rig rig;

    *state = memset(&rig, 0, sizeof rig);
    may_open = false;
    attempts = warnings = lines = 0;
    rig.config.forwards = rig.forwards;
    add(&rig, "comes", "vsock:any:1");
    add(&rig, "never", "vsock:any:2");
    if (uv_loop_init(&rig.loop) != 0)
        return -1;
    rig.roster = roster_create(&rig.loop, &rig.crew);
    return rig.roster ? 0 : -1;
}

static int end(void **state)
{
    struct rig *rig = *state;

    roster_stop(rig->roster);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    roster_free(rig->roster);
    return uv_loop_close(&rig->loop);
}

/* The pause is over. */
static void try_again(struct rig *rig)
{
    uv_timer_t timer = {.data = rig->roster};

    planned = 0;
    attempt(&timer);
}

/* Goal: pauses double from a quarter of a second to half a minute, each shortened by up to a half
 * at random; the log tells once that it waits. */
static void pauses_grow(void **state)
{
    struct rig *rig = *state;
    uint64_t most = 250, previous = 0;
    unsigned others = 0;
    struct err err;

    assert_ok(roster_apply(rig->roster, &rig->config, &err));
    for (int i = 0; i < ATTEMPTS; i++) {
        assert_in_range(planned, most / 2, most);
        others += most == LONGEST && planned != previous;
        previous = planned;
        most = most * 2 < LONGEST ? most * 2 : LONGEST;
        try_again(rig);
    }
    assert_true(others > ATTEMPTS / 2);
    assert_int_equal(attempts, 2 * (ATTEMPTS + 1));
    assert_int_equal(warnings, 2);
    assert_int_equal(lines, 2);
}

/* Goal: one that comes is told, once, and the other is still tried; a reload tries at once. */
static void one_comes(void **state)
{
    struct rig *rig = *state;
    struct err err;

    assert_ok(roster_apply(rig->roster, &rig->config, &err));
    for (int i = 0; i < ATTEMPTS; i++)
        try_again(rig);
    may_open = true;
    for (int i = 0; i < ATTEMPTS; i++)
        try_again(rig);
    assert_int_equal(lines, 3);
    assert_contains(last, "forward 'comes': listening on tcp:127.0.0.1:");
    assert_int_equal(attempts, 2 * (1 + ATTEMPTS) + 1 + ATTEMPTS);
    assert_in_range(planned, LONGEST / 2, LONGEST);
    assert_ok(roster_apply(rig->roster, &rig->config, &err));
    assert_in_range(planned, 125, 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pauses_grow, begin, end),
        cmocka_unit_test_setup_teardown(one_comes, begin, end),
    };

    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
