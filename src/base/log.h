/* The log: one line per event, on standard error, from any thread.
 *
 * A line is written whole by one call, so lines of several threads do not mix. Control characters
 * are replaced: no peer's name can forge a line. Nothing of the payload is ever logged.
 *
 * Between log_start and log_stop nobody who logs waits for a reader: lines are queued, and a thread
 * of the log's own writes them, in the order in which they came. What finds no room in the queue is
 * counted, and a line says how many are missing as soon as one can be written again; so it is with
 * lines that could not be written, on a full disk for instance. A crash loses what is queued. */
#ifndef HVRELAY_BASE_LOG_H
#define HVRELAY_BASE_LOG_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,   /* something asked for can't be done */
    LOG_LEVEL_WARNING, /* it goes on, but somebody should look */
    LOG_LEVEL_INFO,    /* starts, stops, one line per session end */
    LOG_LEVEL_DEBUG,
};

enum log_format {
    LOG_FORMAT_TEXT, /* for people; where standard error is the journal, with its priorities */
    LOG_FORMAT_JSON, /* an object a line */
};

/* Is a message of this level written at all? For those who would make one with much effort. */
bool log_wants(enum log_level level);

/* What is logged from here on, and how. Main thread. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* Where lines go: a file that is open, or standard error. */
struct log_target;

/* Opens this file to append to; "" is standard error. Nothing changes yet. Returns 0, and the
 * caller passes *out to log_switch or to log_discard; or -1. Main thread, as are the next four. */
int log_prepare(const char *path, struct log_target **out, struct err *err);

/* Logs there from here on, and keeps the path for log_reopen. Takes the target; can't fail. */
void log_switch(struct log_target *target);

/* Closes a target that is not wanted after all. NULL is fine. */
void log_discard(struct log_target *target);

/* Both steps in one. Returns 0, or -1 and lines go where they went before. */
int log_open(const char *path, struct err *err);

/* Opens the log file anew, after it was moved away. If that fails, lines go on to the old one, and
 * the reason to it and to standard error. */
void log_reopen(void);

enum { LOG_FLUSH_TIME = 1000 }; /* ms that log_stop waits for a reader */

/* Starts the thread that writes. Before it, and after log_stop, the thread that logs a line writes
 * it. Returns 0 or -1. Main thread. */
int log_start(struct err *err);

/* Writes what is queued, and ends the thread. If nobody takes the lines, gives up after
 * LOG_FLUSH_TIME (half a second later at the latest): then the rest is lost, and lines of later are
 * dropped. Main thread, when no other logs any more. */
void log_stop(void);

/* Return -1 for an unknown name. */
int log_level_parse(const char *name, enum log_level *level);
int log_format_parse(const char *name, enum log_format *format);

/* A value beside the message, for machines. `text` NULL: the number. */
struct log_field {
    const char *name; /* lower case, letters, digits and '_' */
    const char *text;
    uint64_t number;
};

/* A message with fields: in text only the message is shown. */
void log_event(enum log_level level, const struct log_field *fields, size_t count,
               const char *format, ...) PRINTF_LIKE(4, 5);

void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
