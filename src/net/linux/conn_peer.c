/* What the peer of a conn has done: ended, closed for good, or reset. */
#include "net/conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* On vsock a full close looks like a half-close to all but a write, even one of nothing. */
static bool is_closed(const struct conn *conn)
{
    if (conn->family == FAMILY_VSOCK)
        return send(conn_fd(conn), "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE;
    return conn->closed;
}

/* The flag may be from before a socket was connected. */
bool conn_has_left(struct conn *conn)
{
    struct pollfd poll_now = {.fd = conn_fd(conn)};

    if (conn->family == FAMILY_VSOCK)
        return is_closed(conn);
    return conn->family == FAMILY_UNIX && conn->closed && poll(&poll_now, 1, 0) == 1 &&
           poll_now.revents & POLLHUP;
}

/* TCP counts the FIN as a byte. What was sent to a unix socket is with the peer at once. */
bool conn_has_unsent(struct conn *conn)
{
    int unsent = 0;

    return conn->family == FAMILY_TCP && ioctl(conn_fd(conn), SIOCOUTQ, &unsent) == 0 && unsent > 0;
}

bool conn_may_have_left(struct conn *conn)
{
    char byte;

    return conn->family == FAMILY_TCP && conn->hangup &&
           recv(conn_fd(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* A peer that has closed both halves may have left bytes that are to be delivered first. */
bool conn_lost(struct conn *conn)
{
    char byte;

    if (conn->failed)
        return true;
    return conn->socket && is_closed(conn) &&
           recv(conn_fd(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* vsock gives ENOTCONN instead of EOF to one who reads just as the peer's close is being handled. A
 * reset of the transport gives it too, with an error beside it. */
bool conn_has_ended(struct conn *conn)
{
    return conn->family == FAMILY_VSOCK && conn_take_error(conn) == 0;
}

/* Not by a look at the first byte: where there is an error, that would take it away. */
bool conn_has_unread(struct conn *conn)
{
    int unread = 0;

    return conn->socket && ioctl(conn_fd(conn), FIONREAD, &unread) == 0 && unread > 0;
}

int conn_pending_error(struct conn *conn)
{
    int error = conn->socket || conn->failed ? conn_take_error(conn) : 0;

    return error == 0 ? 0 : uv_translate_sys_error(-error);
}

int conn_take_error(struct conn *conn)
{
    socklen_t length = sizeof(int);
    int error = 0;

    if (!conn->socket)
        return -EPIPE; /* only the write end of a pipe whose reader has gone gets here */
    if (getsockopt(conn_fd(conn), SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return -errno;
    return -error;
}
