/* How log lines leave the process: descriptors, and the system's own log. Each system implements it
 * in its own folder. */
#ifndef HVRELAY_BASE_LOG_OUTPUT_H
#define HVRELAY_BASE_LOG_OUTPUT_H

#include "base/log.h"

enum { LOG_OUTPUT_WAIT = 100 }; /* ms */

/* First of all in the log's thread: it takes no signals. */
void log_output_begin_thread(void);

/* Opens a file to append to, which no child process inherits; made for its owner to write, and for
 * no stranger to read. Does not wait: on Linux a FIFO without a reader fails with ENXIO. Returns a
 * descriptor, or -1 and errno says why. */
int log_file_open(const char *path);
void log_file_close(int fd);

/* Writes some bytes, at most LOG_LINE. Returns how many; 0: none were taken for LOG_OUTPUT_WAIT;
 * -1: it failed. (It may block for longer on Windows, on a terminal that is stopped, and where
 * others write to the same pipe.) */
long log_output_write(int fd, const char *bytes, size_t size);

/* True where the system's own log takes the events (the journal on Linux, where standard error is
 * connected to it; the Event Log of a Windows service). Asked once. */
bool log_system_open(void);

/* What a line on standard error begins with, so that the system's log learns its level ("<4>"), or
 * "" where it goes elsewhere. After log_system_open. */
const char *log_system_prefix(enum log_level level);

/* An event as the system's log takes it: what log_system_send sends. At most `size` bytes; returns
 * how many. Any thread. */
size_t log_system_format(char *out, size_t size, enum log_level level, const char *message,
                         const struct log_field *fields, size_t count);

/* As log_output_write, but -1: the event has to go to standard error. */
long log_system_send(enum log_level level, const char *event, size_t size);

#endif
