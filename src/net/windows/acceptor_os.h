/* An acceptor on Windows keeps several accepts pending on every way into its listener. A stream
 * that has arrived while the owner does not admit it waits in its slot, which is a backlog before
 * the system's own. */
#ifndef HVRELAY_NET_WINDOWS_ACCEPTOR_OS_H
#define HVRELAY_NET_WINDOWS_ACCEPTOR_OS_H

enum {
    LISTENER_SOCKETS = 8, /* addresses of one listening name */
    ACCEPTS_PENDING = 8,  /* per way in and loop */
};

struct accept_op;

struct accept_slot {
    struct acceptor *acceptor;
    struct accept_op *op; /* NULL where the accept is still to be started */
    bool arrived;         /* the stream is here, not yet admitted */
    int way;
};

struct acceptor {
    const struct acceptor_owner *owner;
    struct loop *loop; /* NULL once stopped */
    struct listener *listener;
    struct timer retry; /* after trouble */
    struct timer renew; /* of a listener that may move */
    struct task resume; /* starts what is to be started, hands over what has arrived */
    bool troubled;
    int failures; /* of accepts, since the last client */
    int slots;
    int turn; /* the slot whose client is next to be admitted */
    struct accept_slot slot[LISTENER_SOCKETS * ACCEPTS_PENDING];
};

#endif
