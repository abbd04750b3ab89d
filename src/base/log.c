#include "base/log.h"

#include "base/log_output.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum {
    MESSAGE = 1024,
    LINE = 4096,
    FIELD = 64, /* room that a field needs at least: its name, a number, the end of the line */
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const format_names[] = {"text", "json"};
static _Atomic int max_level = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_FORMAT_TEXT;
static _Atomic int to_system = -1; /* not asked yet */

struct log_target {
    FILE *file; /* NULL: standard error */
    char path[256];
};

/* Any thread may write to it while the main thread, which alone changes it, opens another one. */
static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t lock;
static struct log_target *current; /* NULL: standard error */
static _Atomic bool has_path;

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

void log_set_format(enum log_format format)
{
    atomic_store(&line_format, (int)format);
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

static void init_lock(void)
{
    uv_mutex_init(&lock);
}

static void close_target(struct log_target *target)
{
    if (target && target->file)
        fclose(target->file);
    free(target);
}

int log_prepare(const char *path, struct log_target **out, struct err *err)
{
    struct log_target *target = calloc(1, sizeof *target);

    if (!target)
        return err_system(err, UV_ENOMEM, "cannot open the log file '%s'", path);
    snprintf(target->path, sizeof target->path, "%s", path);
    if (path[0] && !(target->file = log_file_open(path))) {
        free(target);
        return err_system(err, uv_translate_sys_error(errno), "cannot open the log file '%s'",
                          path);
    }
    *out = target;
    return 0;
}

void log_switch(struct log_target *target)
{
    struct log_target *old;

    uv_once(&once, init_lock);
    uv_mutex_lock(&lock);
    old = current;
    current = target;
    uv_mutex_unlock(&lock);
    atomic_store(&has_path, target->path[0] != '\0');
    close_target(old);
}

void log_discard(struct log_target *target)
{
    close_target(target);
}

int log_open(const char *path, struct err *err)
{
    struct log_target *target;

    if (log_prepare(path, &target, err) != 0)
        return -1;
    log_switch(target);
    return 0;
}

void log_reopen(void)
{
    struct err err;

    if (current && current->path[0] && log_open(current->path, &err) != 0)
        log_error("%s", err.msg);
}

/* Appends what fits; *used never passes size - 1. */
static void PRINTF_LIKE(4, 5) append(char *out, size_t size, size_t *used, const char *format, ...)
{
    va_list args;
    int count;

    va_start(args, format);
    count = vsnprintf(out + *used, size - *used, format, args);
    va_end(args);
    *used += count > 0 ? (size_t)count : 0;
    if (*used > size - 1)
        *used = size - 1;
}

/* "2026-01-31T12:00:00.123Z", in UTC so that host and guest logs line up. */
static void append_time(char *out, size_t size, size_t *used)
{
    uv_timeval64_t now = {0};
    time_t seconds;
    struct tm tm = {0};

    uv_gettimeofday(&now);
    seconds = (time_t)now.tv_sec;
    utc_time(&seconds, &tm);
    append(out, size, used, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
           tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.tv_usec / 1000));
}

/* How many bytes the UTF-8 character at `text` has; 0 where it is none (overlong forms and the like
 * included, as far as the first two bytes tell). */
static size_t utf8_length(const unsigned char *text)
{
    size_t length = text[0] < 0x80                      ? 1
                    : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                    : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                    : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                        : 0;

    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

/* As a JSON string that leaves `keep` bytes of `out` free: what does not fit is left out, and what
 * JSON can't hold is shown as '?'. */
static void append_json_text(char *out, size_t size, size_t *used, size_t keep, const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    append(out, size, used, "\"");
    while (*c && *used + 5 + keep < size) {
        size_t length = utf8_length(c);

        if (length == 0 || *c < 0x20 || *c == 0x7f)
            append(out, size, used, "?");
        else if (*c == '"' || *c == '\\')
            append(out, size, used, "\\%c", *c);
        else
            append(out, size, used, "%.*s", (int)length, (const char *)c);
        c += length ? length : 1;
    }
    append(out, size, used, "\"");
}

static void append_json(char *out, size_t size, size_t *used, enum log_level level,
                        const char *message, const struct log_field *fields, size_t count)
{
    append(out, size, used, "{\"time\":\"");
    append_time(out, size, used);
    append(out, size, used, "\",\"level\":\"%s\",\"message\":", level_names[level]);
    append_json_text(out, size, used, size / 2, message);
    for (size_t i = 0; i < count && *used + FIELD < size; i++) {
        append(out, size, used, ",\"%s\":", fields[i].name);
        if (fields[i].text)
            append_json_text(out, size, used, 3, fields[i].text);
        else
            append(out, size, used, "%" PRIu64, fields[i].number);
    }
    append(out, size, used, "}\n");
}

static void write_out(const char *line, size_t length)
{
    FILE *file;

    uv_once(&once, init_lock);
    uv_mutex_lock(&lock);
    file = current ? current->file : NULL;
    fwrite(line, 1, length, file ? file : stderr);
    fflush(file ? file : stderr);
    uv_mutex_unlock(&lock);
}

static bool has_system(void)
{
    int answer = atomic_load(&to_system);

    if (answer < 0) {
        answer = log_system_open();
        atomic_store(&to_system, answer);
    }
    return answer;
}

static void write_event(enum log_level level, const char *message, const struct log_field *fields,
                        size_t count)
{
    bool to_file = atomic_load(&has_path);
    bool system = has_system() && !to_file;
    char line[LINE];
    size_t used = 0;

    if (!to_file)
        append(line, sizeof line, &used, "%s", log_system_prefix(level));
    if (atomic_load(&line_format) == LOG_FORMAT_JSON) {
        append_json(line, sizeof line, &used, level, message, fields, count);
    } else {
        if (system && log_system_write(level, message, fields, count) == 0)
            return;
        append_time(line, sizeof line, &used);
        append(line, sizeof line, &used, " %s: %s\n", level_names[level], message);
    }
    line[used - 1] = '\n';
    write_out(line, used);
}

static void PRINTF_LIKE(2, 0)
    format_message(char message[MESSAGE], const char *format, va_list args)
{
    vsnprintf(message, MESSAGE, format, args);
    text_make_printable(message);
}

static bool is_logged(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

void log_event(enum log_level level, const struct log_field *fields, size_t count,
               const char *format, ...)
{
    char message[MESSAGE];
    va_list args;

    if (!is_logged(level))
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
        if (!is_logged(level))                                                                     \
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
