/* The inside of a listener, for its acceptors. */
#ifndef HVRELAY_NET_LINUX_LISTENER_OS_H
#define HVRELAY_NET_LINUX_LISTENER_OS_H

#include "net/listener.h"

#include <stdatomic.h>
#include <sys/types.h>

struct listener {
    atomic_uint users;
    struct endpoint endpoint;
    int count;
    int fds[LISTENER_SOCKETS];
    enum family families[LISTENER_SOCKETS]; /* vsock for a hyperv endpoint */
    bool single;                            /* there is only one stream, and it is here already */
    struct incoming only;                   /* that one */
    atomic_bool taken;                      /* it has been handed out */
    bool has_path; /* we made the unix socket's file, and it is this one: */
    dev_t path_device;
    ino_t path_inode;
};

#endif
