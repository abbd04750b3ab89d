/* A log line, ready to be written: what passes from the thread that logs to the one that writes. */
#ifndef HVRELAY_BASE_LOG_LINE_H
#define HVRELAY_BASE_LOG_LINE_H

#include "base/log.h"

enum {
    LOG_LINE = 4096,  /* bytes; what a pipe takes whole (PIPE_BUF) */
    LOG_EVENT = 4096, /* bytes */
};

struct log_line {
    uint16_t line_size;               /* with its line feed */
    uint16_t event_size;              /* 0: it is no event of the system's log */
    uint8_t level;                    /* an enum log_level */
    bool copied;                      /* to standard error as well, if it goes to a file */
    char bytes[LOG_LINE + LOG_EVENT]; /* the line; behind it the event (log_system_format) */
};

/* Makes a line of an event, in the format that is set. Any thread. */
void log_line_make(struct log_line *out, enum log_level level, const char *message,
                   const struct log_field *fields, size_t count);

/* Lines that are made from here on go to a file: they are no events, and carry no prefix. */
void log_line_set_file(bool to_file);

#endif
