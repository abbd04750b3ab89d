#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* Appends to the message what fits. */
static void append(struct err *err, const char *format, ...)
{
    size_t used = strlen(err->msg);
    va_list args;

    va_start(args, format);
    vsnprintf(err->msg + used, sizeof err->msg - used, format, args);
    va_end(args);
}

int err_set(struct err *err, int code, const char *format, ...)
{
    va_list args;

    err->code = code;
    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    return -1;
}

int err_system(struct err *err, int code, const char *format, ...)
{
    char text[128];
    va_list args;

    err->code = code;
    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    append(err, ": %s", uv_strerror_r(code, text, sizeof text));
    return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
    char old[sizeof err->msg];
    va_list args;

    memcpy(old, err->msg, sizeof old);
    va_start(args, format);
    vsnprintf(err->msg, sizeof err->msg, format, args);
    va_end(args);
    append(err, ": %s", old);
    return -1;
}

int err_hint(struct err *err, const char *hint)
{
    append(err, " (%s)", hint);
    return -1;
}
