/* The process as a Windows service: what the service control handler, which runs on a thread of the
 * service manager's, may do with the program. */
#ifndef HVRELAY_APP_WINDOWS_PROCESS_OS_H
#define HVRELAY_APP_WINDOWS_PROCESS_OS_H

enum process_request { PROCESS_STOP = 1, PROCESS_RELOAD = 2 };

/* Asks the program for something: from any thread, at any time. What is asked before the program
 * listens is done then; what is asked after it has ended is forgotten. */
void process_ask(enum process_request request);

/* Who wants to know how the program stands. Called on the program's main thread. */
struct process_watcher {
    void (*ready)(void); /* again after every reload */
    void (*stopping)(void);
};

/* Before the program runs. NULL: nobody. */
void process_report_to(const struct process_watcher *watcher);

#endif
