/* The Windows Event Log: what a service says to the administrator. The detail is in the log file.
 */
#ifndef HVRELAY_BASE_WINDOWS_EVENTLOG_H
#define HVRELAY_BASE_WINDOWS_EVENTLOG_H

#include "base/err.h"
#include "base/log.h"

/* Tells Windows how to show the events of `source`, and forgets it. Administrators only. Return 0
 * or -1. Removing what is not there is no error. */
int eventlog_install(const char *source, struct err *err);
int eventlog_uninstall(const char *source, struct err *err);

/* Writes one event (debug counts as information). Best effort: a service that cannot reach the
 * Event Log goes on. */
void eventlog_write(const char *source, enum log_level level, const char *message);

#endif
