/* Endpoint -> socket address. Each system implements it in its own folder. */
#ifndef HVRELAY_NET_ADDRESS_H
#define HVRELAY_NET_ADDRESS_H

#include "net/endpoint.h"
#include "net/peer.h"

#include <uv.h>

struct address {
    union {
        struct sockaddr_storage sa;
        char pipe[ENDPOINT_NAME]; /* the name of an npipe, which is no socket */
    };
    uint32_t length; /* bytes of sa in use */
    enum family family;
};

/* The address of an endpoint of any family but tcp, which resolve.h handles. Returns 0, or -1 where
 * this system has no such sockets, with what to use instead. */
int address_from_endpoint(const struct endpoint *endpoint, struct address *out, struct err *err);

/* True where address_from_endpoint has to ask somebody else (for the VM of a name, say), which may
 * block, and whose answer may be another one next time. */
bool address_needs_lookup(const struct endpoint *endpoint);

/* The address that was found does not exist: whoever asks next gets no answer from memory. True
 * where the last one may have been. */
bool address_forget(const struct endpoint *endpoint);

/* Fills `out` from what accept or getsockname gave for a socket of that family. */
void address_to_peer(const struct address *address, struct peer *out);

/* What a failed connect or bind with this libuv error number means for the family, and what to do:
 * a hint for err_hint, or NULL where the system's text says it all. */
const char *address_connect_advice(enum family family, int code);
const char *address_listen_advice(enum family family, int code);

/* True where listening failed because the VM, its driver or its transport is not there: it may come
 * yet. */
bool address_may_come(enum family family, int code);

#endif
