/* The far end of the log: lines go from here to a file, to standard error or to the system's log.
 * One thread at a time: the log's writer, or the holder of the queue's lock before it starts. */
#ifndef HVRELAY_BASE_LOG_SINK_H
#define HVRELAY_BASE_LOG_SINK_H

#include "base/log_line.h"

struct log_target {
    int fd; /* 2: standard error */
    char path[256];
};

/* What a write that gets nowhere asks every now and then: false if it is to give up. May call
 * log_sink_switch. */
typedef bool log_sink_wait(void);

/* Adds a line to what log_sink_flush writes. Waits only if there is no room for it. */
void log_sink_put(const struct log_line *line, log_sink_wait *wait);

/* Waits until all is written. */
void log_sink_flush(log_sink_wait *wait);

/* So many lines are missing after those that were put. The next flush says so, once it can, and
 * adds those that could not be written. */
void log_sink_lost(uint64_t count);

/* Lines that are not written yet go there. Takes the target, closes the one before. */
void log_sink_switch(struct log_target *target);

#endif
