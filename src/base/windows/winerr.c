#include "base/windows/winerr.h"

#include "base/windows/wide.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>
#include <windows.h>

/* Windows's text without its full stop and line end; false where it has none. */
static bool text_of(unsigned long code, char *out, size_t size)
{
    wchar_t wide[256];
    DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, code,
                             0, wide, sizeof wide / sizeof *wide, NULL);

    while (n > 0 && wcschr(L" .\r\n", wide[n - 1]))
        n--;
    wide[n] = L'\0';
    return n > 0 && utf8_from_wide(wide, out, size) == 0;
}

/* An HRESULT is known by its hexadecimal form, all others by their decimal one. */
static void append_code(struct err *err, unsigned long code)
{
    char text[256];
    size_t used = strlen(err->msg);

    if (!text_of(code, text, sizeof text))
        strcpy(text, "unknown error");
    snprintf(err->msg + used, sizeof err->msg - used,
             (code & 0x80000000u) ? ": %s (error 0x%08lX)" : ": %s (error %lu)", text, code);
}

int err_windows(struct err *err, unsigned long code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    append_code(err, code);
    err->code = uv_translate_sys_error((int)code);
    if (err->code > 0) /* libuv leaves what it does not know as it was */
        err->code = UV_UNKNOWN;
    return -1;
}
