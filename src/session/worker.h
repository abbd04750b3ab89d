/* A worker: one thread with its own loop, the sessions that were accepted there, and a gate to
 * each forward. Sessions never move between workers and share nothing but counters. */
#ifndef HVRELAY_SESSION_WORKER_H
#define HVRELAY_SESSION_WORKER_H

#include "session/forward.h"

struct worker;

/* What all workers have in common. */
struct crew {
    struct worker *workers;
    unsigned count;
    atomic_uint waiting; /* gates that wait for room: a session that ends wakes them */
    uv_async_t *notice;  /* of the main loop: a worker has ended, or a single forward's session */
    atomic_uint at_work; /* workers whose thread has not ended */
};

/* Work for a worker, from another thread. Embedded by the sender, who may use it again once it
 * has been handled. */
struct message {
    struct list link;
    void (*handle)(struct worker *worker, struct message *message);
};

/* A worker's door to a forward. */
struct gate {
    struct list link;
    struct acceptor acceptor;
    struct forward *forward;
    struct worker *worker;
    bool waiting; /* for room */
    struct message open;
};

struct worker {
    struct crew *crew;
    uv_thread_t thread;
    struct loop loop;
    struct pumps *pumps;
    struct list gates, sessions;
    bool draining;

    uv_async_t wake;
    uv_mutex_t lock; /* of the two below */
    struct list mailbox;
    bool ended; /* nobody may wake it any more */
    struct message drain, abort;
};

/* Starts the thread. Returns 0 or -1 and nothing is left. */
int worker_start(struct worker *worker, struct crew *crew, struct err *err);

/* From any thread. */
void worker_post(struct worker *worker, struct message *message);

/* From any thread: accept from the forward as well. The gate stays in use until the worker ends. */
void worker_add(struct worker *worker, struct gate *gate, struct forward *forward);

/* From any thread, once each: stop accepting, and end when the last session has ended; break off
 * all sessions. */
void worker_drain(struct worker *worker);
void worker_abort(struct worker *worker);

/* Waits for the thread to end, which it does once drained, and frees. */
void worker_join(struct worker *worker);

/* On the worker's thread: a session of that forward has ended, its place is free. */
void worker_session_ended(struct worker *worker, struct forward *forward);

#endif
