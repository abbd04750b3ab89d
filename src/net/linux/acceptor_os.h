#ifndef HVRELAY_NET_LINUX_ACCEPTOR_OS_H
#define HVRELAY_NET_LINUX_ACCEPTOR_OS_H

enum { LISTENER_SOCKETS = 256 }; /* that a service manager hands over by one name */

struct acceptor {
    const struct acceptor_owner *owner;
    struct loop *loop;
    struct listener *listener;
    struct watch watch;
    struct timer retry; /* after trouble */
    struct task resume; /* the streams already waiting, or the only one of a single listener */
    bool watching, troubled;
};

#endif
