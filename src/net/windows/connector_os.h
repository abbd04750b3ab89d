#ifndef HVRELAY_NET_WINDOWS_CONNECTOR_OS_H
#define HVRELAY_NET_WINDOWS_CONNECTOR_OS_H

struct connect_op;

struct connector {
    struct loop *loop;
    struct conn *conn;
    const struct address *address;
    const struct sock_options *options;
    connector_done *done;
    struct connect_op *op; /* while ConnectEx is under way */
    SOCKET connecting;     /* a UNIX socket on its way; INVALID_SOCKET otherwise */
    struct task finish;    /* an attempt that ended at once is reported from the loop */
    struct timer again;
    uint64_t timeout;
    int status;
};

#endif
