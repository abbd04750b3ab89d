/* A worker: one thread with its own loop, the sessions that were accepted there, and a gate to
 * each forward. Sessions never move between workers and share nothing but counters. */
#ifndef HVRELAY_SESSION_WORKER_H
#define HVRELAY_SESSION_WORKER_H

#include "net/listener.h"
#include "session/forward.h"

struct worker;

/* What all workers have in common. */
struct crew {
    struct worker *workers;
    unsigned count;
    struct totals totals;
    atomic_bool repeats; /* log lines were swallowed: somebody should sum them up later */
    atomic_bool starved; /* it has been told that descriptors are short */
    atomic_uint waiting; /* gates that wait for room: a session that ends wakes them */
    atomic_uint turn; /* which worker is woken first, for on Windows each has clients of its own */
    uv_async_t *notice;  /* of the main loop: a worker has ended, or a single forward's session */
    atomic_uint at_work; /* workers whose thread has not ended */
};

/* Work for a worker, from another thread. Embedded by the sender, who may use it again once it
 * has been handled. */
struct message {
    struct list link;
    void (*handle)(struct worker *worker, struct message *message);
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
    bool ended;        /* nobody may wake it any more */
    atomic_bool asked; /* by the watchdog; cleared by the loop */
    struct message drain, abort, settle;
    uv_sem_t *settled; /* for `settle` */
};

/* Starts the thread. Returns 0 or -1 and nothing is left. */
int worker_start(struct worker *worker, struct crew *crew, struct err *err);

/* From any thread. */
void worker_post(struct worker *worker, struct message *message);

/* From any thread: breaks off the sessions of a forward. Returns -1 where memory is short. */
int worker_abort_forward(struct worker *worker, struct forward *forward, const char *reason);

/* From the main thread: returns once all workers have done what they were told before. */
void crew_settle(struct crew *crew);

/* From any thread, once each: stop accepting, and end when the last session has ended; break off
 * all sessions. */
void worker_drain(struct worker *worker);
void worker_abort(struct worker *worker);

/* From any thread: has the worker been through its loop since it was last asked? */
void worker_ask(struct worker *worker);
bool worker_answered(struct worker *worker);

/* Waits for the thread to end, which it does once drained, and frees. */
void worker_join(struct worker *worker);

/* On the worker's thread: a session of that forward has ended, its place is free. */
void worker_session_ended(struct worker *worker, struct forward *forward);

/* On the worker's thread: the one stream of a single forward was turned away. */
void worker_single_failed(struct worker *worker, struct forward *forward);

/* From any thread: there may be room for what waits at a limit. */
void crew_tell_room(struct crew *crew);

/* Once all workers have ended: asserts that all places and descriptors have been given back. */
void crew_assert_empty(const struct crew *crew);

/* On a worker's thread: the message was swallowed; the main loop will sum up. Else it is to be
 * told now. */
bool worker_tells(struct worker *worker, struct repeat *repeat);

#endif
