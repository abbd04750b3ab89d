/* Overlapped operations that libuv does not start itself: to accept and to connect. Each has an
 * event of its own rather than the loop's completion port, as libuv must be the first to associate
 * a socket with one (else it emulates completions with events, at half the speed). */
#ifndef HVRELAY_NET_WINDOWS_OP_H
#define HVRELAY_NET_WINDOWS_OP_H

#include "net/loop.h"

struct op;

/* How it ended: 0 or a Windows error. The op is the callee's then, to be used again or freed. */
typedef void op_done(struct op *op, DWORD error);

/* The beginning of a heap object that holds all that the system writes to or reads from while the
 * operation is under way. */
struct op {
    OVERLAPPED overlapped; /* pass this to the call that starts it */
    HANDLE event;
    struct loop *loop;
    HANDLE file; /* the socket or pipe it is started on */
    bool is_socket;
    HANDLE wait;
    struct list link;
    op_done *done;
    void (*discard)(struct op *op);
};

/* Prepares an op in zeroed memory. `discard` gives up what the object holds and calls op_free().
 * Returns 0, or a libuv error number and nothing to undo. */
int op_init(struct op *op, struct loop *loop, void (*discard)(struct op *op));

/* To be called after the call that started it has returned "pending" (or success): `done` is then
 * called once, from the loop. Returns 0, or a libuv error number: then it is cancelled and
 * discarded. */
int op_await(struct op *op, HANDLE file, bool is_socket, op_done *done);

/* `done` is not called any more: cancels the operation, and discards the op once the system has let
 * go of it. `file` must stay open until this returns. */
void op_abandon(struct op *op);

/* Frees an op that is not under way. */
void op_free(struct op *op);

/* The loop's part: the list and the wake-up. */
int ops_init(struct loop *loop);
void ops_close(struct loop *loop);

#endif
