/* The queue between the threads that log and the one that writes. */
#ifndef HVRELAY_BASE_LOG_QUEUE_H
#define HVRELAY_BASE_LOG_QUEUE_H

#include "base/log_line.h"

enum { LOG_QUEUE = 1 << 20 }; /* bytes, of which one half is filled while the other is written */

/* Queues the line, or counts it as lost if there is no room. Never waits for I/O while the writer
 * runs; before log_queue_start, and after log_queue_stop, writes it at once. Any thread. */
void log_queue_put(const struct log_line *line);

/* Lines that are put from here on go there. Takes the target. Main thread, as are the next two. */
void log_queue_switch(struct log_target *target);

/* Starts the writer. Returns 0 or -1. */
int log_queue_start(struct err *err);

/* Waits LOG_FLUSH_TIME at most until all is written, and ends the writer. If that did not do, lines
 * of later are dropped: they would wait, too. */
void log_queue_stop(void);

#endif
