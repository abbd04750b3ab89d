/* What can be set about the sockets of a forward. Zero (or an empty string) leaves the system's
 * default. */
#ifndef HVRELAY_NET_SOCK_OPTIONS_H
#define HVRELAY_NET_SOCK_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sock_options {
    uint64_t send_buffer;    /* bytes; on vsock without hv_sock this is the stream's credit */
    uint64_t receive_buffer; /* bytes */
    uint64_t keepalive;      /* ms without traffic before TCP asks whether the peer is there */
    uint64_t user_timeout;   /* ms that sent TCP data may stay unacknowledged */
    uint32_t backlog;        /* connections that wait to be accepted */
    uint32_t socket_mode;    /* permissions of a listening unix socket */
    char socket_owner[65];   /* its "user", "user:group" or ":group" */

    /* Of Hyper-V sockets on Windows. */
    bool connected_suspend;  /* a stream survives that its VM is paused */
    bool container_passthru; /* between containers and the host's VM */
    bool high_vtl;           /* to a VM's higher trust level */
};

/* Can the last three be set on this system? Returns 0, or -1 and why not. */
int sock_options_check_hyperv(struct err *err);

#endif
