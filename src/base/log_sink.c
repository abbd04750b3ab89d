#include "base/log_sink.h"

#include "base/log_output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct log_target *sink_target; /* NULL: standard error */
static unsigned sink_switches;         /* so far */
static char sink_chunk[LOG_LINE];      /* whole lines, to be written by one call */
static size_t sink_used;
static uint64_t sink_missing; /* lines that were lost, and not reported yet */

static bool sink_is_file(void)
{
    return sink_target && sink_target->path[0];
}

void log_sink_switch(struct log_target *target)
{
    log_discard(sink_target);
    sink_target = target;
    sink_switches++;
}

void log_sink_lost(uint64_t count)
{
    sink_missing += count;
}

/* Returns how many bytes were written before it failed, or gave up. What was begun and then goes
 * elsewhere is written there from its beginning. */
static size_t sink_write(const char *bytes, size_t size, log_sink_wait *wait)
{
    unsigned switches = sink_switches;
    size_t done = 0;

    while (done < size) {
        int fd = sink_target ? sink_target->fd : 2;
        long count = log_output_write(fd, bytes + done, size - done);

        if (count < 0 || (count == 0 && !wait()))
            break;
        done += (size_t)count;
        if (switches != sink_switches)
            done = 0;
        switches = sink_switches;
    }
    return done;
}

/* Lines that end in there. */
static uint64_t sink_count_lines(const char *bytes, size_t size)
{
    uint64_t count = 0;

    for (size_t i = 0; i < size; i++)
        count += bytes[i] == '\n';
    return count;
}

static void sink_write_chunk(log_sink_wait *wait)
{
    size_t size = sink_used, done = sink_write(sink_chunk, size, wait);

    sink_used = 0;
    sink_missing += sink_count_lines(sink_chunk + done, size - done);
}

/* Returns true unless the event has to go out as a line. */
static bool sink_send(const struct log_line *line, log_sink_wait *wait)
{
    long count = 0;

    while (count == 0 && !sink_is_file()) {
        count = log_system_send(line->level, line->bytes + line->line_size, line->event_size);
        if (count == 0 && !wait()) {
            sink_missing++;
            return true;
        }
    }
    return count > 0;
}

/* A standard error that nobody reads is no reason to keep the file waiting. */
static void sink_copy(const struct log_line *line)
{
    const char *prefix = log_system_prefix(line->level);
    char text[8 + LOG_LINE];
    int count = snprintf(text, sizeof text, "%s%.*s", prefix, (int)line->line_size, line->bytes);

    (void)log_output_write(2, text, (size_t)count);
}

/* Says how many lines are missing, where they are. */
static void sink_report(log_sink_wait *wait)
{
    struct log_field field = {"lines_lost", NULL, sink_missing};
    struct log_line line;
    char message[96];

    snprintf(message, sizeof message, "%" PRIu64 " lines lost: they could not be written",
             sink_missing);
    log_line_make(&line, LOG_LEVEL_WARNING, message, &field, 1);
    if ((line.event_size > 0 && sink_send(&line, wait)) ||
        sink_write(line.bytes, line.line_size, wait) == line.line_size)
        sink_missing -= field.number;
}

void log_sink_put(const struct log_line *line, log_sink_wait *wait)
{
    if (sink_missing > 0 && sink_used == 0)
        sink_report(wait);
    if (line->event_size > 0 && !sink_is_file()) {
        sink_write_chunk(wait);
        if (sink_send(line, wait))
            return;
    }
    if (line->line_size > sizeof sink_chunk - sink_used)
        sink_write_chunk(wait);
    memcpy(sink_chunk + sink_used, line->bytes, line->line_size);
    sink_used += line->line_size;
    if (line->copied && sink_is_file())
        sink_copy(line);
}

void log_sink_flush(log_sink_wait *wait)
{
    sink_write_chunk(wait);
    if (sink_missing > 0)
        sink_report(wait);
}
