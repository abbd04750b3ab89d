/* The inside of a listener, for its acceptors. */
#ifndef HVRELAY_NET_LINUX_LISTENER_OS_H
#define HVRELAY_NET_LINUX_LISTENER_OS_H

#include "net/listener.h"

#include <stdatomic.h>

struct listener {
    atomic_uint users;
    struct endpoint endpoint;
    enum family family; /* of its sockets: vsock for a hyperv endpoint */
    int count;
    int fds[LISTENER_SOCKETS];
    bool single;          /* there is only one stream, and it is here already */
    struct incoming only; /* that one */
    atomic_bool taken;    /* it has been handed out */
    bool unlink_path;     /* we made the unix socket's file */
};

#endif
