#include "net/connector.h"

#include "sock_os.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { RETRY_DELAY = 20 }; /* ms between tries while the system is out of something */

/* Conditions that pass by themselves. A full backlog makes connect() on a unix socket fail with
 * EAGAIN, where TCP would wait. */
static bool is_passing(int status)
{
    return status == UV_EAGAIN || status == UV_EMFILE || status == UV_ENFILE ||
           status == UV_ENOBUFS || status == UV_ENOMEM;
}

/* As the network has it. It stands at the same place in both kinds of address. */
static uint16_t connector_port(const struct address *address)
{
    return ((const struct sockaddr_in *)(const void *)&address->sa)->sin_port;
}

/* If nobody listens on a port of this machine, the system may pick that very port for the attempt,
 * and TCP connects the socket to itself (a simultaneous open). The two ports are compared first:
 * the second call is rarely made. */
static bool is_connected_to_itself(const struct connector *connector)
{
    struct address local = {.length = sizeof local.sa}, peer = {.length = sizeof peer.sa};
    int fd = connector->conn->rfd;

    return getsockname(fd, (struct sockaddr *)&local.sa, &local.length) == 0 &&
           connector_port(&local) == connector_port(connector->address) &&
           getpeername(fd, (struct sockaddr *)&peer.sa, &peer.length) == 0 &&
           local.length == peer.length && memcmp(&local.sa, &peer.sa, local.length) == 0;
}

/* Ends the attempt: the conn of a failed one is emptied. The peer may have accepted it all the
 * same. */
static void end(struct connector *connector, int status)
{
    if (status == 0 && connector->address->family == FAMILY_TCP &&
        is_connected_to_itself(connector))
        status = UV_ECONNREFUSED;
    connector->status = status;
    if (status != 0)
        conn_close(connector->conn, CONN_RESET);
    if (is_passing(status))
        timer_set(&connector->loop->timers, &connector->again, RETRY_DELAY);
    else
        connector->done(connector, status);
}

static void on_finish(struct task *task)
{
    struct connector *connector = list_entry(task, struct connector, finish);

    end(connector, connector->status);
}

/* What connect() tells at once is passed on from the loop. */
static void end_later(struct connector *connector, int status)
{
    connector->status = status;
    loop_defer(connector->loop, &connector->finish);
}

/* The kernel has tried: SO_ERROR tells how it went. TCP need not be asked where the event tells of
 * no trouble; a vsock socket is closed a moment before its error is set. */
static void on_ready(struct conn *conn)
{
    struct connector *connector = conn->owner;
    bool connected = conn->family == FAMILY_TCP && !conn->failed && !conn->closed;

    if (!conn->writable)
        return;
    conn->ready = NULL;
    conn->failed = false;
    end(connector, connected ? 0 : uv_translate_sys_error(-conn_take_error(conn)));
}

/* vsock gives up after 2 s by itself, where more time was asked for too. */
static void set_vsock_timeout(int fd, uint64_t timeout)
{
    struct timeval value = {(time_t)(timeout / 1000), (suseconds_t)(timeout % 1000 * 1000)};

    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &value, sizeof value);
}

static void attempt(struct connector *connector)
{
    const struct address *address = connector->address;
    struct conn *conn = connector->conn;
    int fd = sock_create(address, connector->options);
    int error = 0;
    int status;

    if (fd < 0) {
        end_later(connector, fd);
        return;
    }
    if (address->family == FAMILY_VSOCK)
        set_vsock_timeout(fd, connector->timeout);
    if (connect(fd, (const struct sockaddr *)&address->sa, address->length) != 0)
        error = errno;
    if (error != 0 && error != EINPROGRESS) {
        close(fd);
        end_later(connector, uv_translate_sys_error(error));
        return;
    }
    status = conn_open(conn, connector->loop, fd, fd, address->family);
    if (status != 0) {
        close(fd);
        conn_init(conn);
        end_later(connector, status);
    } else if (error == 0) {
        end_later(connector, 0);
    } else {
        conn->owner = connector;
        conn->ready = on_ready;
    }
}

static void on_again(struct timer *timer)
{
    attempt(list_entry(timer, struct connector, again));
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
    conn_close(connector->conn, CONN_RESET); /* the peer may have accepted it meanwhile */
    return connector->status;
}
