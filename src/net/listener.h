/* A listening endpoint: opened once by the main thread, accepted from by any number of loops. */
#ifndef HVRELAY_NET_LISTENER_H
#define HVRELAY_NET_LISTENER_H

#include "net/conn.h"
#include "net/peer.h"
#include "net/sock_options.h"

struct listener;

/* Binds and listens. A name is looked up here, which may block. Returns 0 and *out, or -1. */
int listener_open(const struct endpoint *endpoint, const struct sock_options *options,
                  struct listener **out, struct err *err);

/* As listener_open, while `leaving` still listen, which are to be released soon. Where the system
 * allows it, an address that overlaps one of theirs is no obstacle, and the very same address is
 * the same socket, with all that waits in it: that one keeps its options until listener_adjust. */
int listener_replace(const struct endpoint *endpoint, const struct sock_options *options,
                     struct listener *const *leaving, size_t count, struct listener **out,
                     struct err *err);

/* The endpoint it listens on, with the port that the system chose where 0 was asked for. */
const struct endpoint *listener_endpoint(const struct listener *listener);

/* True where it is good for one stream only: standard input and output, a connected descriptor. */
bool listener_is_single(const struct listener *listener);

/* False where clients can't find it any more: its unix socket's file was removed or replaced. */
bool listener_is_intact(const struct listener *listener);

/* Applies to an open listener what can be changed: backlog, mode and owner, and the options that
 * accepted sockets have from it. A unix socket is never open to anybody to whom neither the old
 * nor the new mode and owner open it. Returns 0, or -1 and all is as it was. Main thread. */
int listener_adjust(struct listener *listener, const struct sock_options *options, struct err *err);

/* Its clients are accepted from here on: what was inherited (stdio, fd:N) is its alone. Until then
 * closing it leaves that as it was. Once is enough. Main thread. */
void listener_claim(struct listener *listener);

/* Takes the last listener_adjust back. */
void listener_undo(struct listener *listener);

/* A listener is counted, from any thread: when the last user has released it, it stops listening,
 * and a unix socket's file is removed. Acceptors must have stopped before. */
struct listener *listener_share(struct listener *listener);
void listener_release(struct listener *listener);

/* One loop's door to a listener. Embedded in its owner; belongs to the loop's thread. */
struct acceptor;

struct acceptor_owner {
    /* May one more stream come in? False pauses the acceptor until acceptor_resume. What is
     * waiting stays in the backlog of the system. */
    bool (*admit)(struct acceptor *acceptor);
    /* It was allowed, but nothing came: `admit` is void. */
    void (*retract)(struct acceptor *acceptor);
    /* It came, and belongs to the owner now (conn_adopt, incoming_refuse). */
    void (*accepted)(struct acceptor *acceptor, const struct incoming *incoming,
                     const struct peer *peer);
    /* Accepting has failed for want of descriptors or memory (said once until it works again), or
     * works again (code 0). The acceptor keeps trying by itself. */
    void (*trouble)(struct acceptor *acceptor, int code);
};

#include "acceptor_os.h" /* struct acceptor: begins with `const struct acceptor_owner *owner` */

/* Starts accepting in the next turn; where that fails, `trouble` tells, and it tries again. */
void acceptor_start(struct acceptor *acceptor, struct loop *loop, struct listener *listener,
                    const struct acceptor_owner *owner);

/* After a pause. Harmless where it is not paused. */
void acceptor_resume(struct acceptor *acceptor);

/* No callback comes any more. Idempotent. */
void acceptor_stop(struct acceptor *acceptor);

#endif
