/* A relay with the interposed library, a lane for each pump, and a workload on all of them. */
#ifndef FAULT_RIG_H
#define FAULT_RIG_H

#include "../chaos/crowd.h"
#include "../lib/relay.h"
#include "inject.h"

struct rig {
    const char *program, *library;
    struct inject *inject; /* shared with the relay */
    struct relay *relay;
    struct crowd crowd;
    char config[200], shared[200]; /* paths */
    char asked[400];               /* ASAN_OPTIONS as they came */
    int sockets;                   /* that the relay has open when it has no session */
};

/* Opens the targets and the shared file. Once. */
void rig_init(struct rig *rig, const char *program, const char *library);
void rig_remove(struct rig *rig);

/* Faults from here on are at the start of a relay, where it may leave memory to the end of the
 * process and libuv has to register what it needs for itself; or they are not. */
void rig_set_starting(struct rig *rig, bool starting);

/* Starts the relay with a new count of calls; nothing fails before rig_arm, but what was armed
 * before. True when it is ready; else it has ended with a message. */
void rig_arm(struct rig *rig, int call, int error, int from, int count);
void rig_disarm(struct rig *rig);
bool rig_start(struct rig *rig);

/* Sessions on every lane, bulk and small, and a reload in the middle. `breakable`: why they may
 * break; NULL: every one must complete. Ends the run where a session or the relay hangs. */
void rig_work(struct rig *rig, const char *breakable);

/* Waits until the relay has no session left; ends the run if it does not come to that. */
void rig_settle(struct rig *rig);

/* Asks the relay to stop, and expects a good end. */
void rig_stop(struct rig *rig);

/* Prints the log, ends the relay. */
void rig_abandon(struct rig *rig);

#endif
