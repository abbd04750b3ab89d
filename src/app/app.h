/* The program at work: opens all forwards, starts the workers, and waits for the signal to stop. */
#ifndef HVRELAY_APP_APP_H
#define HVRELAY_APP_APP_H

#include "config/config.h"

enum app_status {
    APP_OK = 0,
    APP_FAILED = 1,        /* at run time */
    APP_MISCONFIGURED = 2, /* usage or configuration: starting again would not help */
};

/* Runs until a signal, or until the only session of a stdio or fd forward has ended (a broken one
 * is APP_FAILED). Prints the ready lines unless a forward speaks on standard output. */
enum app_status app_run(const struct config *config);

/* For a service manager that knows no signals. app_stop, from any thread and as early as one likes,
 * is as the first signal; `ready` is called once clients may come. */
void app_stop(void);
void app_on_ready(void (*ready)(void));

#endif
