/* The log: one line per event, on standard error unless told otherwise, from any thread.
 *
 * A line is written whole by one call, so lines of several threads do not mix. Control characters
 * are replaced: no peer's name can forge a line. Nothing of the payload is ever logged. */
#ifndef HVRELAY_BASE_LOG_H
#define HVRELAY_BASE_LOG_H

#include "base/compiler.h"

#include <stdio.h>

enum log_level {
    LOG_LEVEL_ERROR,   /* something asked for can't be done */
    LOG_LEVEL_WARNING, /* it goes on, but somebody should look */
    LOG_LEVEL_INFO,    /* starts, stops, one line per session end */
    LOG_LEVEL_DEBUG,
};

/* What is logged from here on. Before any other thread runs, or on reload. */
void log_set_level(enum log_level level);

/* Where to, instead of standard error. Before any other thread runs. */
void log_set_file(FILE *file);

/* Name <-> level; log_level_parse returns -1 for an unknown name. */
int log_level_parse(const char *name, enum log_level *level);

void log_error(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
