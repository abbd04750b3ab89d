/* A reload: one transaction. The file is read again and all that can fail is prepared: the log
 * file, listeners, memory, modes and options of what stays open. Then all of it takes effect, or
 * nothing does. Main thread. */
#ifndef HVRELAY_APP_RELOAD_H
#define HVRELAY_APP_RELOAD_H

#include "app/roster.h"

/* What the program runs with. */
struct running {
    uv_loop_t *loop;
    struct roster *roster;
    struct crew *crew;
    uint64_t drain_timeout; /* ms; 0: off */
    unsigned workers;
    bool has_log_file, has_control;
    struct endpoint control;
};

/* Applies the settings of [hvrelay] at the start; workers and control are opened by the caller. */
int running_begin(struct running *running, const struct config *config, struct err *err);

enum reload_result {
    RELOAD_DONE,
    RELOAD_PARTLY,   /* but for what takes a restart */
    RELOAD_FAILED,   /* nothing was changed */
    RELOAD_MISTAKEN, /* nothing was changed: the file has mistakes */
};

/* Reads the file at `path`. What is wrong, and what takes a restart, goes to `complain`. */
enum reload_result reload(struct running *running, const char *path, config_complain *complain,
                          void *arg);

#endif
