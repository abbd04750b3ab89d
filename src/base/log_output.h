/* Where log lines go beside standard error and files. Each system implements it in its own folder.
 */
#ifndef HVRELAY_BASE_LOG_OUTPUT_H
#define HVRELAY_BASE_LOG_OUTPUT_H

#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>

/* Opens a file to append to, which no child process inherits; made for its owner to write, and for
 * no stranger to read. NULL: errno tells why. */
FILE *log_file_open(const char *path);

/* True where the system's own log takes the events (the journal on Linux, where standard error is
 * connected to it; the Event Log of a Windows service). Asked once. */
bool log_system_open(void);

/* What a line on standard error begins with, so that the system's log learns its level ("<4>"), or
 * "" where it goes elsewhere. After log_system_open. */
const char *log_system_prefix(enum log_level level);

/* One event to the system's log. Any thread. Returns 0, or -1: it has to go to standard error. */
int log_system_write(enum log_level level, const char *message, const struct log_field *fields,
                     size_t count);

#endif
