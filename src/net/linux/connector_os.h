#ifndef HVRELAY_NET_LINUX_CONNECTOR_OS_H
#define HVRELAY_NET_LINUX_CONNECTOR_OS_H

struct connector {
    struct loop *loop;
    struct conn *conn;
    const struct address *address;
    const struct sock_options *options;
    connector_done *done;
    struct task finish; /* an attempt that ended inside connect() is reported from the loop */
    struct timer again;
    uint64_t timeout;
    int status;
};

#endif
