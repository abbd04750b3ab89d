/* The registry of guest services: what is added is listed and found, by whatever case of its name;
 * what is removed is gone; a name that stands twice is refused. */
#include "net/windows/gcs_registry.h"

#include "wine_only.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "assert_ok.h"

static const struct guid ssh = {
    0x00000016, 0xfacb, 0x11e6, {0xbd, 0x58, 0x64, 0, 0x6a, 0x79, 0x86, 0xd3}};
static const struct guid web = {
    0x00000050, 0xfacb, 0x11e6, {0xbd, 0x58, 0x64, 0, 0x6a, 0x79, 0x86, 0xd3}};

static size_t count_of_services(void)
{
    struct gcs_service *services;
    struct err err;
    size_t count;

    if (gcs_list(&services, &count, &err) != 0)
        return 0;
    free(services);
    return count;
}

static int remove_both(void **state)
{
    struct err err;

    (void)state;
    gcs_remove(&ssh, &err);
    gcs_remove(&web, &err);
    return 0;
}

static void test_added_is_found(void **state)
{
    struct guid id;
    struct err err;

    (void)state;
    assert_ok(gcs_add(&ssh, "secure shell \xc3\xa9", &err));
    assert_int_equal(count_of_services(), 1);
    assert_ok(gcs_find("Secure Shell \xc3\xa9", &id, &err));
    assert_true(guid_equal(&id, &ssh));
}

static void test_second_add_renames(void **state)
{
    struct guid id;
    struct err err;

    (void)state;
    assert_ok(gcs_add(&ssh, "old", &err));
    assert_ok(gcs_add(&ssh, "new", &err));
    assert_int_equal(count_of_services(), 1);
    assert_int_equal(gcs_find("old", &id, &err), -1);
    assert_int_equal(err.code, UV_ENOENT);
    assert_ok(gcs_find("new", &id, &err));
}

static void test_name_twice_is_refused(void **state)
{
    struct guid id;
    struct err err;

    (void)state;
    assert_ok(gcs_add(&ssh, "same", &err));
    assert_ok(gcs_add(&web, "same", &err));
    assert_int_equal(gcs_find("same", &id, &err), -1);
    assert_int_equal(err.code, UV_EEXIST);
    assert_non_null(strstr(err.msg, "2 guest services"));
}

static void test_removed_is_gone(void **state)
{
    struct err err;

    (void)state;
    assert_ok(gcs_add(&ssh, "ssh", &err));
    assert_ok(gcs_remove(&ssh, &err));
    assert_int_equal(count_of_services(), 0);
    assert_int_equal(gcs_remove(&ssh, &err), -1);
    assert_int_equal(err.code, UV_ENOENT);
}

static void test_longest_name(void **state)
{
    char name[ENDPOINT_NAME], too_long[2 * ENDPOINT_NAME];
    struct guid id;
    struct err err;

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memset(too_long, 'n', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_ok(gcs_add(&ssh, name, &err));
    assert_ok(gcs_find(name, &id, &err));
    assert_int_equal(gcs_add(&ssh, too_long, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_added_is_found, remove_both),
        cmocka_unit_test_teardown(test_second_add_renames, remove_both),
        cmocka_unit_test_teardown(test_name_twice_is_refused, remove_both),
        cmocka_unit_test_teardown(test_removed_is_gone, remove_both),
        cmocka_unit_test_teardown(test_longest_name, remove_both),
    };

    wine_only();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
