/* Virtual machines by name, asked of WMI. Runs inside the emulator (hvrun), whose map is
 * unit_vms.map: two VMs of one name, one that is off, and the host's own row to be left out. */
#include "net/windows/vms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "assert_ok.h"

static void test_list(void **state)
{
    struct vm *vms = NULL;
    size_t count = 0;
    struct err err;
    char id[GUID_TEXT];

    (void)state;
    assert_ok(vms_list(&vms, &count, &err));
    assert_int_equal(count, 4);
    guid_format(&vms[0].id, id);
    assert_string_equal(id, "22222222-0000-0000-0000-000000000002");
    assert_string_equal(vms[0].name, "build box \xc3\xa9");
    assert_int_equal(vms[0].state, VM_RUNNING);
    assert_int_equal(vms[1].state, VM_OFF);
    free(vms);
}

static void test_find_in_any_case(void **state)
{
    struct guid id;
    struct err err;
    char text[GUID_TEXT];

    (void)state;
    assert_ok(vms_find("Build Box \xc3\xa9", &id, &err));
    guid_format(&id, text);
    assert_string_equal(text, "22222222-0000-0000-0000-000000000002");
}

static void test_unknown_name(void **state)
{
    struct guid id;
    struct err err;

    (void)state;
    assert_int_equal(vms_find("nobody", &id, &err), -1);
    assert_int_equal(err.code, UV_ENOENT);
    assert_non_null(strstr(err.msg, "'nobody'"));
    assert_non_null(strstr(err.msg, "hvrelay vms"));
}

static void test_name_twice(void **state)
{
    struct guid id;
    struct err err;

    (void)state;
    assert_int_equal(vms_find("twin", &id, &err), -1);
    assert_int_equal(err.code, UV_EEXIST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_find_in_any_case),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_name_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
