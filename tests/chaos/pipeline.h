/* `hvrelay connect` between two pipes and a target, from its start to its exit, with an oracle:
 *
 * - every byte is its sender's next one, and an end of file comes after the last one only;
 * - the exit code is 0 or 1; it is 0 where nothing broke the session, and only where all has
 *   arrived at each side that stayed. (2 with a fault before it has read its arguments.) */
#ifndef CHAOS_PIPELINE_H
#define CHAOS_PIPELINE_H

#include "../lib/peer.h"

#include <stdbool.h>
#include <stdint.h>

struct pipeline_plan {
    const char *program, *pump;
    uint64_t up, down; /* bytes; each side ends after them */

    /* Who goes after how many bytes that have passed there; UINT64_MAX: nobody. */
    uint64_t output_goes, target_goes;
    bool quiet;        /* nobody ends: only that the output goes ends it */
    bool input_is_cut; /* it is closed before its end, which is an end all the same */
    uint64_t cut_after;

    bool resets;           /* the target's family has resets */
    bool may_be_silent;    /* it may seem that who has its input or output has gone, and knows it */
    const char *breakable; /* why else it may break; NULL: it may not */
};

/* Runs one; a failure ends the program. The target must be nobody else's. Returns the exit code. */
int pipeline_run(const struct pipeline_plan *plan, struct listener *target);

/* After a failure: ends the process, if there is one. */
void pipeline_abandon(void);

#endif
