/* The process as its system's service manager sees it. Each system implements it in its own
 * folder. Main thread only. */
#ifndef HVRELAY_APP_PROCESS_H
#define HVRELAY_APP_PROCESS_H

#include <stdint.h>
#include <uv.h>

/* First of all in main. */
void process_prepare(void);

/* Returns the command line in UTF-8: `argv` itself, or an array that lives as long as the process.
 * Once, after process_prepare. */
char **process_arguments(int argc, char **argv);

/* Where the configuration stands that no -c names. */
const char *process_default_config(void);

/* What somebody outside may ask of the program. */
struct process_requests {
    void (*stop)(void *arg);   /* SIGTERM, SIGINT; the service manager */
    void (*reload)(void *arg); /* SIGHUP; NULL: nothing to reload, a hang-up is the end, unless it
                                  was ignored from the start (nohup) */
    void (*reopen_log)(void *arg);
    void *arg;
};

/* Passes requests on from here until process_ignore. Returns 0 or a libuv error number. */
int process_listen(uv_loop_t *loop, const struct process_requests *requests);
void process_ignore(void);

/* Tells the service manager, where there is one, how it stands. `status` is a line for people. */
void process_tell_ready(const char *status);
void process_tell_reloading(void);
void process_tell_stopping(void);

/* From process_tell_stopping on: the end may take `most` ms more (UINT64_MAX: any time). The
 * service manager is asked to wait for it, again and again, for as long as the loop runs. */
void process_extend_stop(uint64_t most);

void process_tell_alive(void);

/* How often process_tell_alive has to be called at least, in ms; 0: nobody waits for it. */
uint64_t process_watchdog_interval(void);

#endif
