/* The sessions that are under way on some lanes, moved on step by step. */
#ifndef CHAOS_CROWD_H
#define CHAOS_CROWD_H

#include "lane.h"

enum { LANES_MAX = 10, SESSIONS_MAX = 64 };

struct crowd {
    struct lane lanes[LANES_MAX];
    unsigned lane_count;
    struct session sessions[SESSIONS_MAX + LANES_MAX]; /* and those of crowd_fence */
    unsigned begun;
    uint64_t step;
    uint64_t deadline; /* for the next thing to move */
};

/* Connects a client to a lane that is free. `breakable` as of struct session. */
struct session *crowd_begin(struct crowd *crowd, struct lane *lane, const struct end_plan plans[2],
                            const char *breakable);

/* Everybody does what can be done now, or within a millisecond. `patient`: a pause of one step
 * takes as long. Ends the run when nothing has moved for PATIENCE_MS. */
void crowd_step(struct crowd *crowd, bool patient);

unsigned crowd_live(const struct crowd *crowd);

/* No session is left, and no connection at a target whose session is not known. */
bool crowd_is_over(const struct crowd *crowd);

/* For a relay that lives on: runs a session on each lane with ghosts. The relay takes clients from
 * its queue in their order. So it has met all that have left before, even if it got no time to. */
void crowd_fence(struct crowd *crowd);

/* Then, with no session left in the relay: who is to come to a target is there. No ghost is left.
 */
void crowd_meet_ghosts(struct crowd *crowd);

#endif
