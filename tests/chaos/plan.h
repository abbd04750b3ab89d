/* What a scenario will do, drawn from its random numbers. */
#ifndef CHAOS_PLAN_H
#define CHAOS_PLAN_H

#include "crowd.h"
#include "pipeline.h"

/* How the relay ends. */
enum ending {
    ENDING_CALM,  /* is asked to stop when no session is left */
    ENDING_DRAIN, /* is asked to stop while there are sessions: they may end */
    ENDING_ABORT, /* is asked twice: they are broken */
    ENDING_KILL   /* SIGKILL */
};

/* What a reload fails for, half-way or at once. */
enum mistake {
    MISTAKE_NONE,
    MISTAKE_KEY,    /* an unknown one in the file */
    MISTAKE_LOG,    /* a log file that can't be opened */
    MISTAKE_ADDRESS /* of a new forward: somebody else has it */
};

/* Where a client is when it leaves without a word. */
enum leave {
    LEAVE_QUEUE, /* of the relay, which gets no time to accept it */
    LEAVE_DIALLING,
    LEAVE_RELAYING,
    LEAVE_HALF_CLOSED, /* it has ended its sending, and the other side has not */
    LEAVE_DRAINING,    /* the relay has been asked to stop */
    LEAVE_STATES       /* it does not */
};
extern const char *const leave_names[LEAVE_STATES];

struct plan {
    unsigned workers, lanes, sessions, live; /* live: at a time, at most */
    unsigned standing;  /* sessions that are there from the beginning and must not be touched */
    unsigned shared;    /* MiB/s that two sessions share, without end; 0: nothing */
    bool json, to_file; /* the log */
    unsigned restart_chance, reload_chance, log_chance, hold_chance,
        stall_chance;             /* of 4096, in each step */
    unsigned leave[LEAVE_STATES]; /* of 100 clients each */
    bool patient; /* a step of a pause takes a millisecond, not just a look at the others */
    enum ending ending;
    unsigned end_after; /* sessions begun, where it ends amid them */
};

/* A number below `n`. */
uint64_t draw(uint64_t *random, uint64_t n);

void plan_scenario(uint64_t *random, struct plan *plan);

/* A `connect` of which input, output and target may go at any moment. */
void plan_pipeline(uint64_t *random, struct pipeline_plan *plan);

enum mistake plan_mistake(uint64_t *random);

/* The pair of families, the pump and the limits of a lane. */
void plan_lane(uint64_t *random, struct lane *lane);

/* A lane that is always there and breaks nothing: TCP on both sides. */
void plan_plain_lane(uint64_t *random, struct lane *lane);

/* Other limits, or none, for the sessions to come. */
void plan_limits(uint64_t *random, struct lane *lane);

/* Another pump or none, other buffers: what a reload may change under way. */
void plan_change(uint64_t *random, struct lane *lane);

/* What both ends of a session on this lane do. */
void plan_session(uint64_t *random, const struct lane *lane, uint64_t step,
                  struct end_plan plans[2]);

/* Where the client of such a session leaves, which goes to its plan; not LEAVE_DRAINING. */
enum leave plan_leave(uint64_t *random, const struct plan *plan, uint64_t step,
                      struct end_plan plans[2]);

#endif
