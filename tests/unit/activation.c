/* Sockets that a service manager hands over: found by their name in the environment. */
#include "net/linux/activation.h"

#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 8 };

/* The environment as sd_listen_fds(3) describes it; `fds` and `names` may be NULL. */
static void hand_over(long pid, const char *fds, const char *names)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", pid);
    setenv("LISTEN_PID", text, 1);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (fds)
        setenv("LISTEN_FDS", fds, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
}

static void a_name_is_one_socket_or_several(void **state)
{
    static const struct {
        const char *name;
        int count, fds[MOST];
    } rows[] = {
        {"web", 2, {FIRST, FIRST + 2}},
        {"ssh", 1, {FIRST + 1}},
        {"we", 0, {0}},
        {"webs", 0, {0}},
        {"", 0, {0}},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        int found[MOST];
        struct err err;
        int count;

        hand_over(getpid(), "3", "web:ssh:web");
        count = activation_find(rows[i].name, found, MOST, &err);
        assert_int_equal(count, rows[i].count ? rows[i].count : -1);
        for (int j = 0; j < rows[i].count; j++)
            assert_int_equal(found[j], rows[i].fds[j]);
        if (count < 0)
            assert_contains(err.msg, "no socket of that name: in the .socket unit say FileDescrip");
    }
}

static void no_more_than_there_is_room_for(void **state)
{
    int found[2];
    struct err err;

    (void)state;
    hand_over(getpid(), "3", "web:ssh:web");
    assert_int_equal(activation_find("web", found, 2, &err), 2);
    hand_over(getpid(), "3", "web:web:web");
    assert_int_equal(activation_find("web", found, 2, &err), -1);
    assert_contains(err.msg, "more than 2 of them");
}

static void what_is_not_for_us(void **state)
{
    static const struct {
        long pid; /* 0: ours */
        const char *fds, *names;
    } rows[] = {
        {1, "1", "web"}, {0, NULL, "web"},    {0, "0", "web"},       {0, "-1", "web"},
        {0, "x", "web"}, {0, "", "web"},      {0, "1000000", "web"}, {0, "1", NULL},
        {0, "1", ""},    {0, "1", "ssh:web"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        int found[MOST];
        struct err err;

        hand_over(rows[i].pid ? rows[i].pid : getpid(), rows[i].fds, rows[i].names);
        if (activation_find("web", found, MOST, &err) != -1)
            fail_msg("found with LISTEN_FDS=%s", rows[i].fds ? rows[i].fds : "(unset)");
        assert_contains(err.msg, "the service manager has handed over no socket");
    }
}

/* Goal: they are not inherited any further. */
static void they_close_on_exec(void **state)
{
    int found[MOST], ends[2];
    struct err err;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], FIRST), FIRST);
    hand_over(getpid(), "1", "web");
    assert_int_equal(activation_find("web", found, MOST, &err), 1);
    assert_true(fcntl(FIRST, F_GETFD) & FD_CLOEXEC);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_one_socket_or_several),
        cmocka_unit_test(no_more_than_there_is_room_for),
        cmocka_unit_test(what_is_not_for_us),
        cmocka_unit_test(they_close_on_exec),
    };

    return cmocka_run_group_tests_name("activation", tests, NULL, NULL);
}
