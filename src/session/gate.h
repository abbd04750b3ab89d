/* A worker's door to a forward: accepts its clients there, as far as limits and access rules admit
 * them. Belongs to the worker's thread once it is open, but for the calls that say otherwise. */
#ifndef HVRELAY_SESSION_GATE_H
#define HVRELAY_SESSION_GATE_H

#include "session/worker.h"

struct gate {
    struct list link; /* in its worker */
    struct acceptor acceptor;
    struct listener *listener;
    struct forward *forward;
    struct terms *terms;
    struct worker *worker;
    bool waiting;       /* for room */
    bool turning_away;  /* the client being accepted: there is no room for it */
    struct timer later; /* accept_rate allows the next one */
    struct message open, change, close;
    struct terms *coming; /* with `change` */
};

/* A closed gate, for clients that the listener accepts for the forward under these terms. Shares
 * all three. Returns NULL where memory is short. */
struct gate *gate_create(struct worker *worker, struct listener *listener, struct forward *forward,
                         struct terms *terms);
void gate_discard(struct gate *gate); /* one that was never opened; NULL is harmless */

/* From any thread: the worker starts accepting. */
void gate_open(struct gate *gate);

/* From the main thread: new terms for the sessions from here on. The ones before must have been
 * taken: see crew_settle. */
void gate_change_terms(struct gate *gate, struct terms *terms);

/* From any thread: closes the gate, which must not be used any more. Its sessions go on. */
void gate_close(struct gate *gate);

/* On the worker's thread: closes it at once. */
void gate_shut(struct gate *gate);

/* On the worker's thread: there may be room now. One that waits for it tries again, and waits again
 * where there is none. */
void gate_retry(struct gate *gate);

#endif
