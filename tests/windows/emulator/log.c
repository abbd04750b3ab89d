#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <windows.h>

/* One write() per line: other threads and processes write to the same file. */
static void say(const char *kind, const char *fmt, va_list ap)
{
    char line[512];
    int n = snprintf(line, sizeof line, "[hvemu] %s", kind);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), line, (DWORD)n, &written, NULL);
}

void trace(const char *fmt, ...)
{
    if (!GetEnvironmentVariableA("HVEMU_VERBOSE", NULL, 0))
        return;
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void violation(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say("VIOLATION: ", fmt, ap);
    va_end(ap);
    TerminateProcess(GetCurrentProcess(), VIOLATION_EXIT);
    abort();
}
