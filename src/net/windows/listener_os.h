/* The inside of a listener, for its acceptors. */
#ifndef HVRELAY_NET_WINDOWS_LISTENER_OS_H
#define HVRELAY_NET_WINDOWS_LISTENER_OS_H

#include "net/listener.h"
#include "sock_os.h"

struct listener {
    struct endpoint endpoint;
    struct sock_options options;
    int count;
    SOCKET sockets[LISTENER_SOCKETS];
    LPFN_ACCEPTEX accept_ex; /* of their provider, the same for all */
    HANDLE first_pipe;       /* reserves a pipe's name until an acceptor takes it */
    bool single;             /* there is only one stream */
    LONG taken;              /* it has been handed out */
};

/* The number of ways in, each served by accepts of its own: sockets, or one pipe. */
int listener_ways(const struct listener *listener);

#endif
