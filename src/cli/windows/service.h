/* hvrelay as a Windows service: made and removed here, run by the service control manager (SCM).
 *
 * The SCM starts `hvrelay service run -c FILE`, a subcommand of its own: whether a program was
 * started by the SCM cannot be told for certain from inside. */
#ifndef HVRELAY_CLI_WINDOWS_SERVICE_H
#define HVRELAY_CLI_WINDOWS_SERVICE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVICE_NAME "hvrelay"

/* --- for the one who administers it; all return 0 or -1 --- */

/* Makes the service: it starts with the system, is started again after a failure, and runs
 * `service run -c CONFIG` of this very program (config: an absolute path) as LocalSystem, stripped
 * of its privileges: WSL 2 admits no other service account. Registers the event source too. One
 * that is there is changed, but keeps its account and start type. */
int service_install(const char *config, struct err *err);

/* Stops and removes it. */
int service_uninstall(struct err *err);

/* Both wait until the service runs, or has stopped, for as long as it makes progress. */
int service_start(struct err *err);
int service_stop(struct err *err);

/* Has the running service read its configuration again. What was wrong with it, its log says. */
int service_reload(struct err *err);

enum service_state { SERVICE_ABSENT, SERVICE_IS_STOPPED, SERVICE_IS_RUNNING, SERVICE_CHANGING };

struct service_status {
    enum service_state state;
    uint32_t pid;       /* while it runs */
    uint32_t exit_code; /* the last run's, while it is stopped */
    char command[1024]; /* what the SCM runs */
};

int service_query(struct service_status *out, struct err *err);

/* --- for the program that is the service --- */

struct service_program {
    /* Runs until it is told to stop; returns the exit code. Called on a thread of the SCM's. */
    int (*run)(void *arg);
    /* Tell `run` to end, or to read its configuration again: from any thread, at any time. */
    void (*stop)(void *arg);
    void (*reload)(void *arg);
    void *arg;
};

/* Hands the process over to the SCM until the service has stopped. Returns the exit code of `run`,
 * or -1 where the SCM did not start this process. */
int service_dispatch(const struct service_program *program, struct err *err);

/* `run` is ready to serve: from then on the SCM shows "running". Until then it is told every now
 * and then that the start goes on. */
void service_ready(void);

/* `run` is on its way to its end, for whatever reason. */
void service_stopping(void);

#endif
