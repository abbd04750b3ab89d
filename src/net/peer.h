/* Who is at the other end of an accepted stream, in a form that is the same on every system, small
 * enough to keep for the life of a session, and fit for access rules. */
#ifndef HVRELAY_NET_PEER_H
#define HVRELAY_NET_PEER_H

#include "net/endpoint.h"

#define PEER_NO_USER UINT32_MAX

struct peer {
    uint8_t family; /* enum family; stdio, fd and npipe tell nothing more */
    union {
        struct {
            uint8_t address[16]; /* network order; the first 4 bytes where not v6 */
            uint32_t scope;
            uint16_t port; /* host order */
            bool v6;
        } tcp;
        struct {
            uint32_t pid, uid, gid; /* PEER_NO_USER where the system does not tell */
        } local;
        struct {
            uint32_t cid, port;
        } vsock;
        struct {
            struct guid vm, service;
        } hyperv;
    } u;
};

/* As an endpoint reads ("tcp:[::1]:50123", "vsock:3:1024", "unix:uid=0,pid=77"). Always fits
 * ENDPOINT_TEXT. */
void peer_format(const struct peer *peer, char *out, size_t size);

#endif
