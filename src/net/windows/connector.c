#include "net/connector.h"

#include "op.h"
#include "sock_os.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_DELAY = 20 }; /* ms between tries while the system is out of something */

struct connect_op {
    struct op op;
    struct connector *connector;
    enum family family;
    SOCKET socket; /* INVALID_SOCKET once it is the conn's */
};

/* Conditions that pass by themselves. Every instance of a named pipe may be taken for a moment,
 * where a socket would have a backlog. */
static bool is_passing(int status)
{
    return status == UV_EBUSY || status == UV_EMFILE || status == UV_ENOBUFS || status == UV_ENOMEM;
}

static void on_finish(struct task *task)
{
    struct connector *connector = list_entry(task, struct connector, finish);

    if (is_passing(connector->status))
        timer_set(&connector->loop->timers, &connector->again, RETRY_DELAY);
    else
        connector->done(connector, connector->status);
}

static void finish(struct connector *connector, int status)
{
    connector->status = status;
    loop_defer(connector->loop, &connector->finish);
}

static int open_conn(struct connector *connector, HANDLE handle)
{
    const struct incoming stream = {.family = connector->address->family, .handle = handle};

    return conn_open(connector->conn, connector->loop, &stream);
}

/* --- sockets --- */

/* The peer may have accepted it already. */
static void discard(struct op *op)
{
    struct connect_op *connect = list_entry(op, struct connect_op, op);
    struct incoming unwanted = {.family = connect->family, .handle = (HANDLE)connect->socket};

    if (connect->socket != INVALID_SOCKET)
        incoming_refuse(&unwanted);
    op_free(op);
}

/* If nobody listens on a port of this machine, the system may pick that very port for the attempt,
 * and TCP connects the socket to itself (a simultaneous open). */
static bool is_connected_to_itself(SOCKET socket)
{
    struct sockaddr_storage local, peer;
    int local_length = sizeof local, peer_length = sizeof peer;

    return getsockname(socket, (struct sockaddr *)&local, &local_length) == 0 &&
           getpeername(socket, (struct sockaddr *)&peer, &peer_length) == 0 &&
           local_length == peer_length && memcmp(&local, &peer, (size_t)local_length) == 0;
}

/* Until its context is updated the socket does not know its peer, and libuv would take it for
 * unconnected. */
static int take_socket(struct connect_op *connect)
{
    SOCKET socket = connect->socket;

    if (setsockopt(socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) != 0)
        return sock_error((DWORD)WSAGetLastError());
    if (connect->family == FAMILY_TCP && is_connected_to_itself(socket))
        return UV_ECONNREFUSED;
    connect->socket = INVALID_SOCKET;
    return open_conn(connect->connector, (HANDLE)socket);
}

static void on_connected(struct op *op, DWORD error)
{
    struct connect_op *connect = list_entry(op, struct connect_op, op);
    struct connector *connector = connect->connector;
    int status = error == 0 ? take_socket(connect) : sock_error(error);

    connector->op = NULL;
    discard(op);
    finish(connector, status);
}

/* Starts ConnectEx: 0, or a libuv error number and the op is still the caller's. */
static int start(struct connect_op *connect)
{
    const struct connector *connector = connect->connector;
    const struct address *address = connector->address;
    LPFN_CONNECTEX connect_ex;
    DWORD sent;
    int status = sock_create(address, connector->options, &connect->socket);

    if (status == 0)
        status = sock_prepare_connect(connect->socket, address, connector->timeout);
    if (status == 0)
        status = sock_connect_ex(connect->socket, &connect_ex);
    if (status != 0)
        return status;
    if (!connect_ex(connect->socket, (const struct sockaddr *)&address->sa, (int)address->length,
                    NULL, 0, &sent, &connect->op.overlapped) &&
        WSAGetLastError() != WSA_IO_PENDING)
        return sock_error((DWORD)WSAGetLastError());
    return 0;
}

static int attempt_socket(struct connector *connector)
{
    struct connect_op *connect = calloc(1, sizeof *connect);
    int status;

    if (!connect)
        return UV_ENOMEM;
    status = op_init(&connect->op, connector->loop, discard);
    if (status != 0) {
        free(connect);
        return status;
    }
    connect->connector = connector;
    connect->family = connector->address->family;
    connect->socket = INVALID_SOCKET;
    status = start(connect);
    if (status != 0) {
        discard(&connect->op);
        return status;
    }
    status = op_await(&connect->op, (HANDLE)connect->socket, true, on_connected);
    if (status == 0)
        connector->op = connect;
    return status;
}

/* --- UNIX sockets --- */

static void give_up_unix(struct connector *connector)
{
    if (connector->connecting != INVALID_SOCKET)
        closesocket(connector->connecting);
    connector->connecting = INVALID_SOCKET;
}

static void end_unix(struct connector *connector, int status)
{
    SOCKET socket = connector->connecting;

    if (status == 0) {
        connector->connecting = INVALID_SOCKET;
        status = open_conn(connector, (HANDLE)socket);
    }
    give_up_unix(connector);
    finish(connector, status);
}

/* No event tells how it ends, so the socket is asked now and then. */
static void look_after_unix(struct connector *connector)
{
    struct timeval now = {0, 0};
    fd_set writable, failed;
    int error = 0, length = sizeof error;

    FD_ZERO(&writable);
    FD_ZERO(&failed);
    FD_SET(connector->connecting, &writable);
    FD_SET(connector->connecting, &failed);
    if (select(0, NULL, &writable, &failed, &now) == 0) {
        timer_set(&connector->loop->timers, &connector->again, RETRY_DELAY);
        return;
    }
    getsockopt(connector->connecting, SOL_SOCKET, SO_ERROR, (char *)&error, &length);
    end_unix(connector, error ? sock_error((DWORD)error) : 0);
}

/* ConnectEx is not to be had for them, or not everywhere; but a connect that does not wait ends at
 * once as a rule. */
static void attempt_unix(struct connector *connector)
{
    const struct address *address = connector->address;
    u_long on = 1;
    int status = sock_create(address, connector->options, &connector->connecting);

    if (status != 0) {
        end_unix(connector, status);
        return;
    }
    ioctlsocket(connector->connecting, (long)FIONBIO, &on);
    if (connect(connector->connecting, (const struct sockaddr *)&address->sa,
                (int)address->length) == 0)
        end_unix(connector, 0);
    else if (WSAGetLastError() == WSAEWOULDBLOCK)
        timer_set(&connector->loop->timers, &connector->again, RETRY_DELAY);
    else
        end_unix(connector, sock_error((DWORD)WSAGetLastError()));
}

/* --- all kinds --- */

static int attempt_pipe(struct connector *connector)
{
    HANDLE pipe;
    int status = npipe_open(connector->address->pipe, &pipe);

    return status == 0 ? open_conn(connector, pipe) : status;
}

static void attempt(struct connector *connector)
{
    bool pipe = connector->address->family == FAMILY_NPIPE;
    int status;

    if (connector->address->family == FAMILY_UNIX) {
        attempt_unix(connector);
        return;
    }
    status = pipe ? attempt_pipe(connector) : attempt_socket(connector);
    if (pipe || status != 0)
        finish(connector, status);
}

static void on_again(struct timer *timer)
{
    struct connector *connector = list_entry(timer, struct connector, again);

    if (connector->connecting != INVALID_SOCKET)
        look_after_unix(connector);
    else
        attempt(connector);
}

void connector_start(struct connector *connector, struct loop *loop, const struct address *address,
                     const struct sock_options *options, uint64_t timeout, struct conn *conn,
                     connector_done *done)
{
    *connector = (struct connector){
        .loop = loop,
        .conn = conn,
        .address = address,
        .options = options,
        .timeout = timeout,
        .connecting = INVALID_SOCKET,
        .done = done,
    };
    task_init(&connector->finish, on_finish);
    timer_init(&connector->again, on_again);
    attempt(connector);
}

int connector_cancel(struct connector *connector)
{
    task_cancel(&connector->finish);
    timer_clear(&connector->loop->timers, &connector->again);
    if (connector->op)
        op_abandon(&connector->op->op);
    connector->op = NULL;
    give_up_unix(connector);
    conn_close(connector->conn, CONN_RESET); /* the peer may have accepted it meanwhile */
    return connector->status;
}
