/* The inside of a listener, for its acceptors. */
#ifndef HVRELAY_NET_WINDOWS_LISTENER_OS_H
#define HVRELAY_NET_WINDOWS_LISTENER_OS_H

#include "net/listener.h"
#include "sock_os.h"
#include "socket_file.h"

struct listener {
    struct endpoint endpoint;
    struct sock_options options, options_before; /* the last adjustment */
    LONG references;                             /* its users, and a renewal under way */
    int count;
    SOCKET sockets[LISTENER_SOCKETS];
    LPFN_ACCEPTEX accept_ex; /* of their provider, the same for all */

    struct socket_file file; /* of a UNIX socket */

    HANDLE first_pipe; /* reserves a pipe's name until an acceptor takes it */

    bool single; /* there is only one stream */
    LONG taken;  /* it has been handed out */

    /* A Hyper-V listener may have to move: its one socket is replaced when its VM has got another
     * id, or when accepting has failed for good. */
    SRWLOCK lock;         /* of the options and the socket, which is INVALID_SOCKET in between */
    struct address bound; /* what it was opened for */
    LONG lost, renewing;
    /* Of the one renewal under way: */
    int failure;          /* why the last one failed, which was logged; 0: it did not */
    uint32_t pause;       /* ms to the next one, which grows as they fail */
    ULONGLONG not_before; /* GetTickCount64 */
};

/* The number of ways in, each served by accepts of its own: sockets, or one pipe. */
int listener_ways(const struct listener *listener);

/* May the socket have to be replaced? */
bool listener_moves(const struct listener *listener);

/* Sees to it that the socket is replaced at the next renewal, whatever its address. */
void listener_lose(struct listener *listener);

/* Finds out, on libuv's thread pool, whether the socket must be replaced, and does it. Its pending
 * accepts then end with an error. If it can't be opened, that is logged, and tried again until it
 * can: a VM may be off for hours. To be called every now and then, by any acceptor. */
void listener_renew(struct listener *listener, struct loop *loop);

#endif
