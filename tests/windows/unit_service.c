/* The service from its making to its removal. This program is both the administrator and, when the
 * SCM starts it, the service. */
#include "cli/windows/service.h"

#include "wine_only.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "assert_ok.h"

#define CONFIG  "C:\\a folder\\with spaces.ini"
#define FAILING "C:\\failing.ini"

/* --- the service --- */

static HANDLE told_to_stop;

static int run(void *arg)
{
    const char *config = arg;

    if (strcmp(config, FAILING) == 0)
        return 1;
    if (strcmp(config, CONFIG) != 0)
        return 2;
    service_ready();
    WaitForSingleObject(told_to_stop, INFINITE);
    return 0;
}

static void stop(void *arg)
{
    (void)arg;
    SetEvent(told_to_stop);
}

/* Ends the service: that is how the other process sees that this one was told to reload. */
static void reload(void *arg)
{
    stop(arg);
}

static int serve(char *config)
{
    const struct service_program program = {run, stop, reload, config};
    struct err err;

    told_to_stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    return service_dispatch(&program, &err);
}

/* --- the administrator --- */

static int remove_service(void **state)
{
    struct err err;

    (void)state;
    service_uninstall(&err);
    return 0;
}

static enum service_state state_now(void)
{
    struct service_status status;
    struct err err;

    assert_ok(service_query(&status, &err));
    return status.state;
}

static void test_whole_life(void **state)
{
    struct service_status status;
    struct err err;

    (void)state;
    assert_int_equal(state_now(), SERVICE_ABSENT);
    assert_ok(service_install(CONFIG, &err));
    assert_int_equal(state_now(), SERVICE_IS_STOPPED);
    assert_ok(service_start(&err));
    assert_ok(service_query(&status, &err));
    assert_int_equal(status.state, SERVICE_IS_RUNNING);
    assert_int_not_equal(status.pid, 0);
    assert_non_null(strstr(status.command, "\" service run -c \"" CONFIG "\""));
    assert_ok(service_start(&err)); /* it runs: fine */
    assert_ok(service_stop(&err));
    assert_int_equal(state_now(), SERVICE_IS_STOPPED);
    assert_ok(service_stop(&err)); /* it is stopped: fine */
    assert_ok(service_uninstall(&err));
    assert_int_equal(state_now(), SERVICE_ABSENT);
}

static void test_reload(void **state)
{
    struct err err;

    (void)state;
    assert_ok(service_install(CONFIG, &err));
    assert_int_equal(service_reload(&err), -1);
    assert_ok(service_start(&err));
    assert_ok(service_reload(&err));
    for (int tries = 0; tries < 1000 && state_now() != SERVICE_IS_STOPPED; tries++)
        Sleep(10);
    assert_int_equal(state_now(), SERVICE_IS_STOPPED);
}

static void test_uninstall_stops_it(void **state)
{
    struct err err;

    (void)state;
    assert_ok(service_install(CONFIG, &err));
    assert_ok(service_start(&err));
    assert_ok(service_uninstall(&err));
    assert_int_equal(state_now(), SERVICE_ABSENT);
}

static void test_failure_is_told(void **state)
{
    struct service_status status;
    struct err err;

    (void)state;
    assert_ok(service_install(FAILING, &err));
    assert_int_equal(service_start(&err), -1);
    assert_non_null(strstr(err.msg, "ended as soon as it was started"));
    assert_ok(service_query(&status, &err));
    assert_int_equal(status.exit_code, 1);
}

/* The start type: 2 is automatic, 3 on demand. Sets it where it is not 0. */
static DWORD start_type(DWORD type)
{
    union {
        QUERY_SERVICE_CONFIGW config;
        BYTE room[8192];
    } u;
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceW(manager, L"" SERVICE_NAME, SERVICE_ALL_ACCESS);
    DWORD needed;

    if (type)
        assert_true(ChangeServiceConfigW(service, SERVICE_NO_CHANGE, type, SERVICE_NO_CHANGE, NULL,
                                         NULL, NULL, NULL, NULL, NULL, NULL));
    assert_true(QueryServiceConfigW(service, &u.config, sizeof u, &needed));
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
    return u.config.dwStartType;
}

/* Goal: a second installation changes the service, running or not, and leaves the administrator's
 * choice of how it starts alone. */
static void test_install_twice(void **state)
{
    struct service_status status;
    struct err err;

    (void)state;
    assert_ok(service_install(FAILING, &err));
    assert_ok(service_install(CONFIG, &err));
    assert_int_equal(start_type(0), SERVICE_AUTO_START);
    assert_int_equal(start_type(SERVICE_DEMAND_START), SERVICE_DEMAND_START);
    assert_ok(service_start(&err));
    assert_ok(service_install(CONFIG, &err));
    assert_ok(service_query(&status, &err));
    assert_int_equal(status.state, SERVICE_IS_RUNNING);
    assert_non_null(strstr(status.command, CONFIG));
    assert_int_equal(start_type(0), SERVICE_DEMAND_START);
}

static void test_absent(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(service_start(&err), -1);
    assert_int_equal(err.code, UV_ENOENT);
    assert_non_null(strstr(err.msg, "hvrelay service install"));
    assert_int_equal(service_uninstall(&err), -1);
}

static void test_not_started_by_the_scm(void **state)
{
    const struct service_program program = {run, stop, reload, (void *)(uintptr_t)CONFIG};
    struct err err;

    (void)state;
    assert_int_equal(service_dispatch(&program, &err), -1);
    assert_non_null(strstr(err.msg, "for the service manager"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_whole_life, remove_service),
        cmocka_unit_test_teardown(test_reload, remove_service),
        cmocka_unit_test_teardown(test_uninstall_stops_it, remove_service),
        cmocka_unit_test_teardown(test_failure_is_told, remove_service),
        cmocka_unit_test_teardown(test_install_twice, remove_service),
        cmocka_unit_test_teardown(test_absent, remove_service),
        cmocka_unit_test(test_not_started_by_the_scm),
    };

    if (argc == 5)
        return serve(argv[4]);
    wine_only();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
