/* The program at work: opens all forwards, starts the workers, reloads and stops on request. */
#ifndef HVRELAY_APP_APP_H
#define HVRELAY_APP_APP_H

#include "config/config.h"

enum app_status {
    APP_OK = 0,
    APP_FAILED = 1,        /* at run time */
    APP_MISCONFIGURED = 2, /* usage or configuration: starting again would not help */
};

/* Runs until it is asked to stop, or until the only session of a stdio or fd forward has ended (a
 * broken one is APP_FAILED). Prints the ready lines unless a forward speaks on standard output.
 * A reload reads the file at `path` again; NULL: there is none. */
enum app_status app_run(const struct config *config, const char *path);

#endif
