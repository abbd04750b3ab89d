/* Keeps a message that repeats from filling the log: it is told once, then counted for a while.
 * From any thread. */
#ifndef HVRELAY_BASE_REPEAT_H
#define HVRELAY_BASE_REPEAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { REPEAT_PAUSE = 10000 }; /* ms */

struct repeat {
    atomic_ullong quiet_until; /* ms */
    atomic_uint swallowed;
};

/* True where the message is to be told now; else it is counted. */
bool repeat_tell(struct repeat *repeat, uint64_t now);

/* How many were counted and not told; they count as told now. */
unsigned repeat_swallowed(struct repeat *repeat);

#endif
