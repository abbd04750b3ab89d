/* A connected stream on Windows is a libuv stream from the start: a socket of any family is a
 * uv_tcp_t, a named pipe a uv_pipe_t. */
#ifndef HVRELAY_NET_WINDOWS_CONN_OS_H
#define HVRELAY_NET_WINDOWS_CONN_OS_H

struct conn_streams;

struct conn {
    struct conn_streams *streams; /* NULL where not open; they outlive the conn until closed */
    uint8_t family;
    void *owner; /* who watches for its loss */
};

/* A socket or a pipe, overlapped and not yet associated with a completion port; of stdio nothing.
 */
struct incoming {
    enum family family;
    HANDLE handle;
};

/* Takes over an open handle, which is closed with the conn. Returns 0, or a libuv error number and
 * the handle is closed. */
int conn_open(struct conn *conn, struct loop *loop, const struct incoming *incoming);

#endif
