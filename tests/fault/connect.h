/* Faults of `hvrelay connect`, from its start to its exit: standard input and output are pipes, and
 * there is one session. */
#ifndef FAULT_CONNECT_H
#define FAULT_CONNECT_H

#include "../chaos/pipeline.h"
#include "rig.h"

/* Opens the target. Once, after rig_init. */
void connect_init(void);
void connect_remove(void);

/* One that starts with the fault that is armed, which is the `breakable` of pipeline_plan. */
void connect_work(struct rig *rig, const char *pump, const char *breakable);

#endif
