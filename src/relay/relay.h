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
    bool client_left;      /* for the client has gone, which it knows best */
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

/* In place of the time of the last byte, while a direction waits for bandwidth: nobody is idle. */
#define RELAY_HELD_BACK UINT64_MAX

/* The part of a relay that every pump has; the pump's own follows it. */
struct relay {
    const struct relay_pump *pump;
    const struct relay_owner *owner;
    void *arg;
    uint64_t delivered[2];
    uint64_t active; /* loop time of the last byte, ms, or RELAY_HELD_BACK */
};

struct relay_pump {
    void (*abort)(struct relay *relay, const struct err *reason);
};

struct relay_plan {
    enum pump pump;
    struct conn *client, *target;
    uint64_t session_rate; /* bytes a second in each direction; 0: no limit */
    struct share *shares;  /* of both directions, of the forward's sessions; NULL: no limit */
    const struct relay_owner *owner;
    void *arg; /* of the owner */
};

/* Takes over both conns, which stay where they are until `done`. Returns NULL, nothing taken, with
 * the reason where it can't be started. */
struct relay *relay_start(struct pumps *pumps, const struct relay_plan *plan, struct err *err);

/* For the pumps: the relay ends because the conn of `side` could not be read (`reading`) or written
 * to: a libuv error number. Fills in all but the bytes. */
void relay_end_broken(struct relay_end *end, const struct conn *conn, int side, bool reading,
                      int status);

static inline bool relay_is_limited(const struct relay_plan *plan)
{
    return plan->session_rate > 0 || plan->shares;
}

/* The limit of the direction that comes from `side`, in its place. */
static inline void relay_limit(struct limit *limit, const struct relay_plan *plan, int side)
{
    *limit = (struct limit){
        .own_rate = plan->session_rate,
        .shared = plan->shares ? &plan->shares[side] : NULL,
    };
    place_init(&limit->place);
}

/* Breaks the relay off: both sides are reset and `done` is called before it returns. */
static inline void relay_abort(struct relay *relay, const struct err *reason)
{
    relay->pump->abort(relay, reason);
}

#endif
