#include "net/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

static void format_tcp(const struct peer *peer, char *out, size_t size)
{
    char address[INET6_ADDRSTRLEN] = "?";
    bool v6 = peer->u.tcp.v6;

    uv_inet_ntop(v6 ? AF_INET6 : AF_INET, peer->u.tcp.address, address, sizeof address);
    snprintf(out, size, "tcp:%s%s%s:%u", v6 ? "[" : "", address, v6 ? "]" : "", peer->u.tcp.port);
}

void peer_format(const struct peer *peer, char *out, size_t size)
{
    struct endpoint endpoint = {.family = (enum family)peer->family};

    switch (endpoint.family) {
    case FAMILY_TCP:
        format_tcp(peer, out, size);
        break;
    case FAMILY_UNIX:
        if (peer->u.local.uid == PEER_NO_USER)
            snprintf(out, size, "unix:pid=%" PRIu32, peer->u.local.pid);
        else
            snprintf(out, size, "unix:uid=%" PRIu32 ",pid=%" PRIu32, peer->u.local.uid,
                     peer->u.local.pid);
        break;
    case FAMILY_VSOCK:
        endpoint.u.vsock.cid = peer->u.vsock.cid;
        endpoint.u.vsock.port = peer->u.vsock.port;
        endpoint_format(&endpoint, out, size);
        break;
    case FAMILY_HYPERV:
        endpoint.u.hyperv.vm = peer->u.hyperv.vm;
        endpoint.u.hyperv.service = peer->u.hyperv.service;
        endpoint_format(&endpoint, out, size);
        break;
    default:
        snprintf(out, size, "%s", family_name(endpoint.family));
    }
}
