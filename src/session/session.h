/* A session: one accepted client and the target dialled for it, from the accept to the log line
 * that tells how it ended. */
#ifndef HVRELAY_SESSION_SESSION_H
#define HVRELAY_SESSION_SESSION_H

#include "session/worker.h"

struct session {
    struct list link; /* in its worker */
    struct worker *worker;
    struct forward *forward;
    struct terms *terms; /* as of its begin */
    uint64_t id;
    uint64_t started;    /* loop time, ms */
    uint64_t half_ended; /* loop time when one direction ended, or 0 */
    bool end_known;      /* to whom it led: else a quiet peer is given up, see session.c */
    struct peer peer;    /* the client */
    struct conn client, target;
    struct dial *dial;   /* until the target has answered */
    struct relay *relay; /* from then on */
    struct timer timer;  /* the next time-out that may be due */
};

/* Takes over the client, for whom forward_enter was granted. The session frees itself. */
void session_start(struct worker *worker, struct forward *forward, struct terms *terms,
                   const struct incoming *incoming, const struct peer *peer);

/* Ends the session now: both sides are reset, and the reason logged. It is gone on return. */
void session_abort(struct session *session, const char *reason);

#endif
