#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static _Atomic int max_level = LOG_LEVEL_INFO;
static FILE *log_file; /* NULL: standard error */

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

void log_set_file(FILE *file)
{
    log_file = file;
}

int log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

/* "2026-01-31T12:00:00.123Z ", in UTC so that host and guest logs line up. */
static size_t stamp(char *out, size_t size)
{
    uv_timeval64_t now;
    time_t seconds;
    struct tm tm;

    if (uv_gettimeofday(&now) != 0)
        return 0;
    seconds = (time_t)now.tv_sec;
    if (!utc_time(&seconds, &tm))
        return 0;
    return (size_t)snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", tm.tm_year + 1900,
                            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                            (int)(now.tv_usec / 1000));
}

static void PRINTF_LIKE(2, 0) write_line(enum log_level level, const char *format, va_list args)
{
    FILE *file = log_file ? log_file : stderr;
    char line[1024];
    size_t start = stamp(line, sizeof line);
    size_t end;

    start += (size_t)snprintf(line + start, sizeof line - start, "%s: ", level_names[level]);
    vsnprintf(line + start, sizeof line - start - 1, format, args);
    end = strlen(line);
    for (size_t i = start; i < end; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[end++] = '\n';
    fwrite(line, 1, end, file);
    fflush(file);
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
                                                                                                   \
        if ((level) > atomic_load_explicit(&max_level, memory_order_relaxed))                      \
            return;                                                                                \
        va_start(args, format);                                                                    \
        write_line((level), format, args);                                                         \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
