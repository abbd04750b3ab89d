#include "base/file.h"

#include "base/windows/wide.h"

#include <errno.h>

#include <windows.h>

/* fopen takes names in the system's old code page. */
FILE *file_open(const char *path)
{
    wchar_t wide[MAX_PATH];

    if (wide_from_utf8(path, wide, MAX_PATH) == 0)
        return _wfopen(wide, L"rN");
    errno = ENOENT;
    return NULL;
}
