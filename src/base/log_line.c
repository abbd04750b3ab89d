#include "base/log_line.h"

#include "base/log_output.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum { FIELD = 64 }; /* room that a field needs at least: its name, a number, the end of the line */

static const char *const line_levels[] = {"error", "warning", "info", "debug"};
static _Atomic int line_format = LOG_FORMAT_TEXT;
static uv_once_t line_once = UV_ONCE_INIT;
static bool line_system; /* is there a system's log? */
static _Atomic bool line_to_file;

void log_set_format(enum log_format format)
{
    atomic_store(&line_format, (int)format);
}

void log_line_set_file(bool to_file)
{
    atomic_store(&line_to_file, to_file);
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
    append(out, size, used, "\",\"level\":\"%s\",\"message\":", line_levels[level]);
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

static void ask_system(void)
{
    line_system = log_system_open();
}

void log_line_make(struct log_line *out, enum log_level level, const char *message,
                   const struct log_field *fields, size_t count)
{
    bool json = atomic_load(&line_format) == LOG_FORMAT_JSON;
    bool to_file = atomic_load(&line_to_file);
    size_t used = 0;

    uv_once(&line_once, ask_system);
    if (!to_file)
        append(out->bytes, LOG_LINE, &used, "%s", log_system_prefix(level));
    if (json) {
        append_json(out->bytes, LOG_LINE, &used, level, message, fields, count);
    } else {
        append_time(out->bytes, LOG_LINE, &used);
        append(out->bytes, LOG_LINE, &used, " %s: %s\n", line_levels[level], message);
    }
    out->bytes[used - 1] = '\n';
    out->line_size = (uint16_t)used;
    out->event_size = 0;
    out->level = (uint8_t)level;
    out->copied = false;
    if (line_system && !to_file && !json)
        out->event_size = (uint16_t)log_system_format(out->bytes + used, LOG_EVENT, level, message,
                                                      fields, count);
}
