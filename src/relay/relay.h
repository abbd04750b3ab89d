/* A relay moves the bytes between two connected streams, both ways, until both have ended.
 *
 * The rules, whatever the pump:
 * - EOF on one side: all that was read is delivered, then the other side's write half is shut; the
 *   other direction goes on. Done when both have ended, or when the side that ended has closed for
 *   good (where its family can tell that): as if its peer had closed too.
 * - A reset or any other failure of one side resets the other: a truncated transfer must not look
 *   complete.
 * - A side that does not take bytes is not read for: what a direction holds is bounded.
 */
#ifndef HVRELAY_RELAY_RELAY_H
#define HVRELAY_RELAY_RELAY_H

#include "net/conn.h"
#include "relay/limit.h"

#include <stdint.h>

enum pump {
    PUMP_AUTO,   /* what suits the traffic and the system */
    PUMP_SPLICE, /* Linux: always through a pipe */
    PUMP_COPY,   /* Linux: always through a buffer */
    PUMP_STREAM, /* libuv's streams: every system */
};

/* The sides of a relay, and the directions: a direction is named by the side it comes from. */
enum { CLIENT, TARGET };

/* What a worker's relays share: buffers, pipes. */
struct pumps;

int pumps_create(struct loop *loop, struct pumps **out, struct err *err);
void pumps_destroy(struct pumps *pumps); /* once the last relay has ended */

/* Does this system have that pump? Returns 0, or -1 and why not. */
int pump_check(enum pump pump, struct err *err);

struct relay_end {
    bool broken;           /* not both directions came to their EOF */
    bool by_client;        /* it was the client's side that broke */
    uint64_t delivered[2]; /* bytes, per direction */
    uint64_t lost[2];      /* bytes that were read and could not be delivered */
    struct err reason;     /* where broken */
};

struct relay_owner {
    /* One direction has come to its end; the other goes on. Called at most once. `known` is false
     * where the side that it led to may not have learned of it (conn_knows_end). */
    void (*half_closed)(void *arg, bool known);
    /* The relay is over, its conns are closed and it is gone: its last act. Called once, never
     * inside relay_start. */
    void (*done)(void *arg, const struct relay_end *end);
};

/* The part of a relay that every pump has; the pump's own follows it. */
struct relay {
    const struct relay_pump *pump;
    const struct relay_owner *owner;
    void *arg;
    uint64_t delivered[2];
    uint64_t active; /* loop time of the last byte, ms */
};

struct relay_pump {
    void (*abort)(struct relay *relay, const struct err *reason);
};

struct relay_plan {
    enum pump pump;
    struct conn *client, *target;
    uint64_t session_rate, forward_rate; /* bytes a second in each direction; 0: no limit */
    struct throttle *forward_use;        /* of both directions; shared by the forward's sessions */
    const struct relay_owner *owner;
    void *arg; /* of the owner */
};

/* Takes over both conns, which stay where they are until `done`. Returns NULL, nothing taken, with
 * the reason where it can't be started. */
struct relay *relay_start(struct pumps *pumps, const struct relay_plan *plan, struct err *err);

static inline bool relay_is_limited(const struct relay_plan *plan)
{
    return plan->session_rate > 0 || plan->forward_rate > 0;
}

/* The limit of the direction that comes from `side`. */
static inline struct limit relay_limit(const struct relay_plan *plan, int side)
{
    return (struct limit){
        .shared = plan->forward_use ? &plan->forward_use[side] : NULL,
        .own_rate = plan->session_rate,
        .shared_rate = plan->forward_rate,
    };
}

/* Breaks the relay off: both sides are reset and `done` is called before it returns. */
static inline void relay_abort(struct relay *relay, const struct err *reason)
{
    relay->pump->abort(relay, reason);
}

#endif
