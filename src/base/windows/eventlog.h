/* The Windows Event Log: where a service says what others say on standard error. */
#ifndef HVRELAY_BASE_WINDOWS_EVENTLOG_H
#define HVRELAY_BASE_WINDOWS_EVENTLOG_H

#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>

/* Tells Windows how to show the events of `source`, and forgets it. Administrators only. Return 0
 * or -1. Removing what is not there is no error. */
int eventlog_install(const char *source, struct err *err);
int eventlog_uninstall(const char *source, struct err *err);

/* The events of this process are those of `source`. Once, before any other thread logs. Best
 * effort: a service that cannot reach the Event Log goes on. */
void eventlog_open(const char *source);
bool eventlog_is_open(void);

/* Writes one event (debug counts as information). Any thread. Returns 0, or -1: it was not open, or
 * did not take it. */
int eventlog_write(enum log_level level, const char *message);

#endif
