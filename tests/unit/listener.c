/* Closing a listener. */
#include "net/listener.h"

#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int looks; /* at a path */

/* The linker puts this in the place of lstat. */
int __real_lstat(const char *path, struct stat *info);
int __wrap_lstat(const char *path, struct stat *info);

int __wrap_lstat(const char *path, struct stat *info)
{
    looks++;
    return __real_lstat(path, info);
}

static struct listener *open_text(const char *text)
{
    const struct sock_options options = {.backlog = 8};
    struct listener *listener;
    struct endpoint endpoint;
    struct err err;

    assert_ok(endpoint_parse(text, ENDPOINT_LISTEN, &endpoint, &err));
    assert_ok(listener_open(&endpoint, &options, &listener, &err));
    return listener;
}

static void a_host_is_no_path(void **state)
{
    const char *const endpoints[] = {"tcp:127.0.0.1:0", "tcp:localhost:0", "unix:@hvrelay-unit"};

    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        struct listener *listener = open_text(endpoints[i]);

        looks = 0;
        listener_release(listener);
        assert_int_equal(looks, 0);
    }
}

static void a_path_is_looked_at_and_removed(void **state)
{
    char folder[] = "/tmp/hvrelay-XXXXXX", text[64];
    struct listener *listener;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text, "unix:%s/a.sock", folder);
    listener = open_text(text);
    looks = 0;
    listener_release(listener);
    assert_true(looks > 0);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_no_path),
        cmocka_unit_test(a_path_is_looked_at_and_removed),
    };

    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
