/* WSL's id as wsl.exe tells it. A stand-in for wsl.exe, this very program under another name, says
 * what the environment asks for. */
#include "net/windows/vms.h"

#include "wine_only.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "assert_ok.h"

#define ID "0a1b2c3d-1111-2222-3333-444455556666"

static wchar_t stand_in_path[MAX_PATH];

/* --- the stand-in --- */

static int stand_in(int argc, char **argv)
{
    const char *say = getenv("FAKE_WSL");

    if (argc != 5 || strcmp(argv[1], "--exec") != 0 || strcmp(argv[2], "wslinfo") != 0 ||
        strcmp(argv[3], "--vm-id") != 0)
        return 3;
    if (say && strcmp(say, "handles") == 0) /* is a stranger's handle inherited? */
        return GetHandleInformation((HANDLE)(uintptr_t)strtoull(getenv("FAKE_HANDLE"), NULL, 10),
                                    &(DWORD){0})
                   ? 4
                   : 5;
    if (say && strcmp(say, "warning") == 0) {
        if (!getenv("WSL_DISABLE_WARNINGS") || !getenv("WSL_UTF8"))
            return 6;
        fprintf(stderr, "wsl: A localhost proxy configuration was detected.\r\n");
        printf("wsl: Failed to mount X:\\\r\n" ID "\r\n");
        return 0;
    }
    if (say && strcmp(say, "utf16") == 0) { /* as WSL's own messages are written */
        for (const char *c = "There is no distribution.\r\n"; *c; c++) {
            putchar(*c);
            putchar('\0');
        }
        return 1;
    }
    printf("%s", say);
    return 0;
}

/* --- the tests --- */

static int install(void **state)
{
    wchar_t self[MAX_PATH];

    (void)state;
    GetSystemDirectoryW(stand_in_path, MAX_PATH);
    wcscat(stand_in_path, L"\\wsl.exe");
    GetModuleFileNameW(NULL, self, MAX_PATH);
    return CopyFileW(self, stand_in_path, FALSE) ? 0 : -1;
}

static int uninstall(void **state)
{
    (void)state;
    return DeleteFileW(stand_in_path) ? 0 : -1;
}

static void test_id(void **state)
{
    struct guid id;
    struct err err;
    char text[GUID_TEXT];

    (void)state;
    SetEnvironmentVariableA("FAKE_WSL", ID);
    assert_ok(vms_find_wsl(&id, &err));
    guid_format(&id, text);
    assert_string_equal(text, ID);
}

/* Goal: a warning beside the answer, on whichever stream, is no answer. */
static void test_warnings(void **state)
{
    struct guid id;
    struct err err;
    char text[GUID_TEXT];

    (void)state;
    SetEnvironmentVariableA("FAKE_WSL", "warning");
    assert_ok(vms_find_wsl(&id, &err));
    guid_format(&id, text);
    assert_string_equal(text, ID);
}

/* Goal: wsl.exe holds nothing of the program's open but the ends it answers on. */
static void test_nothing_is_inherited(void **state)
{
    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
    HANDLE event = CreateEventW(&inherited, TRUE, FALSE, NULL);
    struct guid id;
    struct err err;
    char number[32];

    (void)state;
    snprintf(number, sizeof number, "%llu", (unsigned long long)(uintptr_t)event);
    SetEnvironmentVariableA("FAKE_HANDLE", number);
    SetEnvironmentVariableA("FAKE_WSL", "handles");
    assert_int_equal(vms_find_wsl(&id, &err), -1);
    assert_non_null(strstr(err.msg, "exit code 5"));
    CloseHandle(event);
}

static void test_not_installed(void **state)
{
    struct guid id;
    struct err err;

    (void)state;
    SetEnvironmentVariableA("FAKE_WSL", "utf16");
    assert_int_equal(vms_find_wsl(&id, &err), -1);
    assert_non_null(strstr(err.msg, "'There is no distribution.'"));
}

static void test_nonsense(void **state)
{
    struct guid id;
    struct err err;

    (void)state;
    SetEnvironmentVariableA("FAKE_WSL", "0a1b2c3d");
    assert_int_equal(vms_find_wsl(&id, &err), -1);
    assert_int_equal(err.code, UV_ENOENT);
}

static void test_no_wsl_exe(void **state)
{
    struct guid id;
    struct err err;

    assert_int_equal(uninstall(state), 0);
    assert_int_equal(vms_find_wsl(&id, &err), -1);
    assert_int_equal(err.code, UV_ENOENT);
    assert_int_equal(install(state), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_nothing_is_inherited),
        cmocka_unit_test(test_not_installed),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_no_wsl_exe),
    };

    if (argc > 1)
        return stand_in(argc, argv);
    wine_only();
    return cmocka_run_group_tests(tests, install, uninstall);
}
