/* Who may own and write what the service reads. */
#include "cli/windows/service_trust.h"

#include "wine_only.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "assert_ok.h"

#include <windows.h>

#include <sddl.h>

#define USER "S-1-5-21-1111111111-2222222222-3333333333-1001"

/* What is said of a folder with this owner and access list, "" if nothing is. */
static const char *verdict(const char *sddl)
{
    static struct err err;
    PSECURITY_DESCRIPTOR descriptor;
    int status;

    assert_true(ConvertStringSecurityDescriptorToSecurityDescriptorA(sddl, SDDL_REVISION_1,
                                                                     &descriptor, NULL));
    status = trust_check_descriptor(descriptor, "the folder 'x'", &err);
    LocalFree(descriptor);
    return status == 0 ? "" : err.msg;
}

static void assert_says(const char *sddl, const char *text)
{
    if (!strstr(verdict(sddl), text))
        fail_msg("'%s' is not in '%s'", text, verdict(sddl));
}

/* Goal: what `service install` makes is what `service run` takes. */
static void our_own_folder(void **state)
{
    (void)state;
    assert_string_equal(verdict("O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"),
                        "");
    assert_string_equal(verdict("O:SYD:P(A;;FA;;;SY)"), "");
}

/* Goal: a user who made the folder first does not own the service. */
static void a_strangers_folder(void **state)
{
    (void)state;
    assert_says("O:" USER "D:P(A;;FA;;;SY)(A;;FA;;;BA)", "belongs to");
    assert_says("O:" USER "D:P(A;;FA;;;SY)(A;;FA;;;BA)", USER);
    assert_says("O:BUD:P(A;;FA;;;SY)", "belongs to");
    assert_says("O:WDD:P(A;;FA;;;SY)", "icacls");
}

/* Goal: no right that leads to a changed file is overlooked, whoever owns it. */
static void a_folder_that_users_may_write(void **state)
{
    static const char *const rights[] = {"FA", "FW", "GW",  "GA",  "SD",
                                         "WD", "WO", "0x2", "0x4", "0x40"};
    char sddl[128];

    (void)state;
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        snprintf(sddl, sizeof sddl, "O:BAD:P(A;;FA;;;SY)(A;;%s;;;BU)", rights[i]);
        assert_says(sddl, "may be changed by");
    }
    /* As a folder inherits it from %ProgramData%. */
    assert_says("O:BAD:AI(A;OICIID;FA;;;SY)(A;OICIIOID;GA;;;CO)(A;OICIID;0x1200a9;;;BU)"
                "(A;CIID;0x116;;;BU)",
                "may be changed by");
}

/* Goal: without a list everybody may do everything. */
static void no_access_list(void **state)
{
    SECURITY_DESCRIPTOR descriptor;
    struct err err;

    (void)state;
    assert_says("O:BA", "everybody may change");
    InitializeSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
    SetSecurityDescriptorDacl(&descriptor, TRUE, NULL, FALSE);
    assert_int_equal(trust_check_descriptor(&descriptor, "the folder 'x'", &err), -1);
    assert_non_null(strstr(err.msg, "everybody may change"));
}

/* Goal: reading, denials, and what only new files inherit are no reason. */
static void what_does_no_harm(void **state)
{
    (void)state;
    assert_string_equal(verdict("O:BAD:P(A;;FA;;;SY)(A;;FR;;;WD)(D;;FA;;;BU)"), "");
    assert_string_equal(verdict("O:BAD:P(A;;FA;;;SY)(A;OICIIO;GA;;;CO)(A;OICIIO;FA;;;BU)"), "");
    assert_string_equal(verdict("O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
                                "D:P(A;;FA;;;BA)"),
                        "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_folder),
        cmocka_unit_test(a_strangers_folder),
        cmocka_unit_test(a_folder_that_users_may_write),
        cmocka_unit_test(no_access_list),
        cmocka_unit_test(what_does_no_harm),
    };

    wine_only();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
