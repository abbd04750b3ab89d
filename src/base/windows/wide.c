#include "base/windows/wide.h"

#include <windows.h>

int wide_from_utf8(const char *text, wchar_t *out, size_t size)
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out, (int)size) > 0)
        return 0;
    out[0] = L'\0';
    return -1;
}

int utf8_from_wide(const wchar_t *text, char *out, size_t size)
{
    if (WideCharToMultiByte(CP_UTF8, 0, text, -1, out, (int)size, NULL, NULL) > 0)
        return 0;
    out[0] = '\0';
    return -1;
}
