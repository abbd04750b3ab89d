/* Who may open a named pipe of ours: its owner, administrators and the system, nobody else; and the
 * name is ours alone. */
#include "sock_os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include <aclapi.h>
#include <sddl.h>

static char name[64];

static HANDLE create(bool first)
{
    HANDLE pipe = NULL;

    assert_int_equal(npipe_create(name, first, &pipe), 0);
    return pipe;
}

static void test_three_may_open_it(void **state)
{
    static const WELL_KNOWN_SID_TYPE groups[] = {WinBuiltinAdministratorsSid, WinLocalSystemSid};
    HANDLE pipe = create(true);
    PSECURITY_DESCRIPTOR descriptor;
    SECURITY_DESCRIPTOR_CONTROL control;
    DWORD revision;
    PACL acl;
    ACCESS_ALLOWED_ACE *ace;

    (void)state;
    assert_int_equal(GetSecurityInfo(pipe, SE_KERNEL_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL,
                                     &acl, NULL, &descriptor),
                     0);
    assert_true(GetSecurityDescriptorControl(descriptor, &control, &revision));
    assert_true(control & SE_DACL_PROTECTED);
    assert_non_null(acl); /* none at all would admit everybody */
    assert_int_equal(acl->AceCount, 3);
    for (DWORD i = 0; i < 3; i++) {
        assert_true(GetAce(acl, i, (void **)&ace));
        assert_int_equal(ace->Header.AceType, ACCESS_ALLOWED_ACE_TYPE);
        assert_false(IsWellKnownSid(&ace->SidStart, WinWorldSid));
        assert_false(IsWellKnownSid(&ace->SidStart, WinAnonymousSid));
        if (i > 0)
            assert_true(IsWellKnownSid(&ace->SidStart, groups[i - 1]));
    }
    LocalFree(descriptor);
    CloseHandle(pipe);
}

static bool is_wine(void)
{
    return GetProcAddress(GetModuleHandleW(L"ntdll"), "wine_get_version") != NULL;
}

static void test_the_name_is_ours(void **state)
{
    HANDLE pipe, more, other;

    (void)state;
    if (is_wine()) {
        print_message("skipped: Wine 8 takes no notice of FILE_FLAG_FIRST_PIPE_INSTANCE\n");
        skip();
    }
    pipe = create(true);
    more = create(false);
    assert_int_not_equal(npipe_create(name, true, &other), 0);
    CloseHandle(more);
    CloseHandle(pipe);
}

static void test_a_client_finds_it(void **state)
{
    HANDLE pipe = create(true), client;

    (void)state;
    assert_int_equal(npipe_open(name, &client), 0);
    assert_int_equal(npipe_open(name, &client), UV_EBUSY); /* its only instance is taken */
    CloseHandle(client);
    CloseHandle(pipe);
    assert_int_equal(npipe_open(name, &client), UV_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_may_open_it),
        cmocka_unit_test(test_the_name_is_ours),
        cmocka_unit_test(test_a_client_finds_it),
    };

    snprintf(name, sizeof name, "hvrelay-unit-%lu", GetCurrentProcessId());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
