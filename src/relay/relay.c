#include "relay/relay.h"

/* A read never reports a broken pipe. */
static const char *stream_name(const struct conn *conn, int side, bool reading, int status)
{
    if (conn->family == FAMILY_STDIO)
        return reading && status != UV_EPIPE ? "standard input" : "standard output";
    return side == CLIENT ? "client" : "target";
}

void relay_end_broken(struct relay_end *end, const struct conn *conn, int side, bool reading,
                      int status)
{
    *end = (struct relay_end){
        .broken = true,
        .client_left = side == CLIENT && (status == UV_EPIPE || status == UV_ECONNRESET),
    };
    err_system(&end->reason, status, stream_name(conn, side, reading, status));
}
