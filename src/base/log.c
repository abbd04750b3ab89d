#include "base/log.h"

#include "base/log_output.h"
#include "base/log_queue.h"
#include "base/log_sink.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { MESSAGE = 1024 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const format_names[] = {"text", "json"};
static _Atomic int max_level = LOG_LEVEL_INFO;
static char file_path[256]; /* "": standard error. The main thread's */

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

static int find_name(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    return -1;
}

int log_level_parse(const char *name, enum log_level *level)
{
    int found = find_name(name, level_names, sizeof level_names / sizeof *level_names);

    if (found >= 0)
        *level = (enum log_level)found;
    return found < 0 ? -1 : 0;
}

int log_format_parse(const char *name, enum log_format *format)
{
    int found = find_name(name, format_names, sizeof format_names / sizeof *format_names);

    if (found >= 0)
        *format = (enum log_format)found;
    return found < 0 ? -1 : 0;
}

static void write_event(enum log_level level, const char *message, const struct log_field *fields,
                        size_t count)
{
    struct log_line line;

    log_line_make(&line, level, message, fields, count);
    log_queue_put(&line);
}

static void set_open_error(struct err *err, const char *path, int code)
{
    err_system(err, code, "cannot open the log file '%s'", path);
    if (code == UV_ENXIO)
        err_hint(err, "a pipe needs a reader first");
}

int log_prepare(const char *path, struct log_target **out, struct err *err)
{
    struct log_target *target = calloc(1, sizeof *target);

    if (!target) {
        set_open_error(err, path, UV_ENOMEM);
        return -1;
    }
    snprintf(target->path, sizeof target->path, "%s", path);
    target->fd = path[0] ? log_file_open(path) : 2;
    if (target->fd < 0) {
        set_open_error(err, path, uv_translate_sys_error(errno));
        free(target);
        return -1;
    }
    *out = target;
    return 0;
}

void log_switch(struct log_target *target)
{
    snprintf(file_path, sizeof file_path, "%s", target->path);
    log_line_set_file(target->path[0] != '\0');
    log_queue_switch(target);
}

void log_discard(struct log_target *target)
{
    if (target && target->path[0])
        log_file_close(target->fd);
    free(target);
}

int log_open(const char *path, struct err *err)
{
    struct log_target *target = NULL;

    if (log_prepare(path, &target, err) != 0)
        return -1;
    log_switch(target);
    return 0;
}

/* An error goes to the file that stays open, and to standard error as well. */
void log_reopen(void)
{
    struct log_line line;
    struct err err;

    if (!file_path[0] || log_open(file_path, &err) == 0)
        return;
    log_line_make(&line, LOG_LEVEL_ERROR, err.msg, NULL, 0);
    line.copied = true;
    log_queue_put(&line);
}

int log_start(struct err *err)
{
    return log_queue_start(err);
}

void log_stop(void)
{
    log_queue_stop();
}

static void PRINTF_LIKE(2, 0)
    format_message(char message[MESSAGE], const char *format, va_list args)
{
    vsnprintf(message, MESSAGE, format, args);
    text_make_printable(message);
}

void log_event(enum log_level level, const struct log_field *fields, size_t count,
               const char *format, ...)
{
    char message[MESSAGE];
    va_list args;

    if (!log_wants(level))
        return;
    va_start(args, format);
    format_message(message, format, args);
    va_end(args);
    write_event(level, message, fields, count);
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        char message[MESSAGE];                                                                     \
        va_list args;                                                                              \
                                                                                                   \
        if (!log_wants(level))                                                                     \
            return;                                                                                \
        va_start(args, format);                                                                    \
        format_message(message, format, args);                                                     \
        va_end(args);                                                                              \
        write_event((level), message, NULL, 0);                                                    \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
