#include "net/conn.h"

#include "sock_os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The libuv handles of a conn that the portable pump drives. They outlive the conn: libuv gives a
 * handle back only in its close callback. Their `data` is the pump's. */
struct conn_streams {
    struct conn_handle {
        uv_pipe_t pipe;
        struct conn_streams *streams;
    } handles[2]; /* reader and, where it differs, writer */
    int open;
};

void conn_init(struct conn *conn)
{
    *conn = (struct conn){.rfd = -1, .wfd = -1};
}

bool conn_is_open(const struct conn *conn)
{
    return conn->rfd >= 0 || conn->wfd >= 0 || conn->streams;
}

static void on_event(struct watch *watch, uint32_t events)
{
    struct conn *conn = list_entry(watch, struct conn, watch);

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        conn->readable = true;
    /* A vsock peer that has closed for good is no event to write as long as there is something to
     * read, or no credit left; only the attempt to write tells (EPIPE). */
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        conn->writable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP))
        conn->hangup = true;
    if (events & EPOLLHUP)
        conn->closed = true;
    if (events & EPOLLERR && !conn->half) /* of the reader, the next read tells the error */
        conn->failed = true;
    if (events & EPOLLPRI)
        conn->urgent = conn->stops_short = true;
    if (conn->ready)
        conn->ready(conn);
}

/* EPERM: a file that can't be waited for, because it is always ready. */
static int watch_one(struct conn *conn, int fd, uint32_t events)
{
    int status = loop_watch(conn->loop, fd, events | EPOLLET, &conn->watch);

    if (status != UV_EPERM)
        return status;
    conn->pollable = false;
    conn->readable = conn->writable = true;
    return 0;
}

static int watch_both(struct conn *conn)
{
    int status;

    conn->watch.event = on_event;
    conn->pollable = true;
    if (conn->rfd == conn->wfd)
        return watch_one(conn, conn->rfd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI);
    status = watch_one(conn, conn->rfd, EPOLLIN | EPOLLRDHUP);
    if (status == 0)
        status = watch_one(conn, conn->wfd, EPOLLOUT);
    if (status != 0)
        loop_unwatch(conn->loop, conn->rfd, &conn->watch);
    return status;
}

int conn_open(struct conn *conn, struct loop *loop, int rfd, int wfd, enum family family)
{
    conn_init(conn);
    conn->loop = loop;
    conn->rfd = rfd;
    conn->wfd = wfd;
    conn->family = (uint8_t)family;
    conn->socket = family == FAMILY_TCP || family == FAMILY_UNIX || family == FAMILY_VSOCK;
    /* A unix socket stops a read at attached descriptors and changed credentials. */
    conn->stops_short = family != FAMILY_TCP && family != FAMILY_VSOCK;
    if (family == FAMILY_UNIX)
        sock_keep_urgent(rfd);
    return watch_both(conn);
}

static void unwatch(struct conn *conn)
{
    if (conn->rfd >= 0)
        loop_unwatch(conn->loop, conn->rfd, &conn->watch);
    if (conn->wfd >= 0 && conn->wfd != conn->rfd)
        loop_unwatch(conn->loop, conn->wfd, &conn->watch);
}

int conn_fd(const struct conn *conn)
{
    int fd = conn->rfd;

    if (conn->streams)
        uv_fileno((const uv_handle_t *)&conn->streams->handles[0].pipe, &fd);
    return fd;
}

/* The same of the writer, where it is another one. */
static int writer_fd(const struct conn *conn)
{
    int fd = conn->wfd;

    if (conn->streams && conn->streams->open == 2)
        uv_fileno((const uv_handle_t *)&conn->streams->handles[1].pipe, &fd);
    return fd;
}

/* libuv waits for nothing on a stream whose EOF it has read; errors and hang-ups are told to anyone
 * who has registered it. */
void conn_watch_loss(struct conn *conn, void (*ready)(struct conn *conn))
{
    conn->ready = ready;
    if (!conn->streams)
        return;
    (void)loop_watch(conn->loop, conn_fd(conn), EPOLLET, &conn->watch);
    if (writer_fd(conn) >= 0)
        (void)loop_watch(conn->loop, writer_fd(conn), EPOLLET, &conn->watch);
}

void conn_drained(struct conn *conn)
{
    if (conn->pollable)
        conn->readable = false;
}

ssize_t conn_read(struct conn *conn, void *buffer, size_t size)
{
    ssize_t count;

    do
        count = conn->socket ? recv(conn->rfd, buffer, size, 0) : read(conn->rfd, buffer, size);
    while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        conn_drained(conn);
        return -EAGAIN;
    }
    if (count > 0 && (size_t)count < size && !conn->hangup && !conn->stops_short)
        conn_drained(conn); /* epoll(7): a short read of a stream is as good as EAGAIN */
    return count < 0 ? -errno : count;
}

ssize_t conn_write(struct conn *conn, const void *buffer, size_t size)
{
    ssize_t count;

    do
        count = conn->socket ? send(conn->wfd, buffer, size, MSG_NOSIGNAL)
                             : write(conn->wfd, buffer, size);
    while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        conn->writable = false;
        return -EAGAIN;
    }
    return count < 0 ? -errno : count;
}

/* A terminal that could not be opened anew is shared with the shell. */
static void let_block_again(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* The writer is to be closed. An event of its error may still come in this turn. */
static void leave_writer(struct conn *conn)
{
    int fd = writer_fd(conn);

    let_block_again(fd);
    loop_unwatch_one(conn->loop, fd);
    conn->half = true;
}

int conn_shutdown(struct conn *conn)
{
    if (conn->socket)
        return shutdown(conn->wfd, SHUT_WR) == 0 ? 0 : -errno;
    if (conn->wfd != conn->rfd) {
        leave_writer(conn);
        close(conn->wfd);
        conn->wfd = -1;
    }
    return 0;
}

static void on_stream_closed(uv_handle_t *handle)
{
    struct conn_streams *streams = list_entry(handle, struct conn_handle, pipe)->streams;

    if (--streams->open == 0)
        free(streams);
}

/* Where the system refuses to register a descriptor libuv ends the process. So it is registered
 * here, where a refusal can be told: libuv then finds it there and only changes it. Until then an
 * error or hang-up may be told of, once; with -1 for a descriptor libuv takes no notice. (With the
 * real one it would look it up in a table that has no place for it yet, and end the process.) */
static int register_for_libuv(struct loop *loop, int fd)
{
    struct epoll_event event = {.events = EPOLLET, .data.fd = -1};

    if (epoll_ctl(uv_backend_fd(&loop->uv), EPOLL_CTL_ADD, fd, &event) != 0)
        return uv_translate_sys_error(errno);
    return 0;
}

/* Makes a handle for the descriptor, and its owner. */
static int open_stream(struct conn *conn, int *fd, uv_stream_t **out, struct err *err)
{
    struct conn_streams *streams = conn->streams;
    struct conn_handle *handle = &streams->handles[streams->open];
    int status = uv_pipe_init(&conn->loop->uv, &handle->pipe, 0);

    if (status == 0) {
        handle->streams = streams;
        streams->open++;
        status = register_for_libuv(conn->loop, *fd);
    }
    if (status == 0)
        status = uv_pipe_open(&handle->pipe, *fd);
    if (status != 0)
        return err_system(err, status, "cannot hand the stream to libuv");
    *fd = -1;
    *out = (uv_stream_t *)&handle->pipe;
    return 0;
}

int conn_streams(struct conn *conn, uv_stream_t **reader, uv_stream_t **writer, struct err *err)
{
    bool one = conn->rfd == conn->wfd;

    if (!conn->pollable)
        return err_set(err, 0, "libuv cannot wait for a regular file (use pump = copy)");
    conn->streams = calloc(1, sizeof *conn->streams);
    if (!conn->streams)
        return err_system(err, UV_ENOMEM, "cannot hand the stream to libuv");
    unwatch(conn);
    if (open_stream(conn, &conn->rfd, reader, err) != 0)
        return -1;
    if (!one)
        return open_stream(conn, &conn->wfd, writer, err);
    conn->wfd = -1;
    *writer = *reader;
    return 0;
}

int conn_read_start(struct conn *conn, uv_alloc_cb alloc, uv_read_cb read)
{
    return uv_read_start((uv_stream_t *)&conn->streams->handles[0].pipe, alloc, read);
}

void conn_read_stop(struct conn *conn)
{
    uv_read_stop((uv_stream_t *)&conn->streams->handles[0].pipe);
}

int conn_shut(struct conn *conn, uv_shutdown_t *request, uv_shutdown_cb done)
{
    return uv_shutdown(request, (uv_stream_t *)&conn->streams->handles[0].pipe, done);
}

bool conn_knows_end(const struct conn *conn)
{
    (void)conn;
    return true;
}

void conn_close_writer(struct conn *conn)
{
    uv_handle_t *writer = (uv_handle_t *)&conn->streams->handles[1].pipe;

    if (uv_is_closing(writer))
        return;
    leave_writer(conn);
    uv_close(writer, on_stream_closed);
}

static void close_streams(struct conn_streams *streams)
{
    for (int i = streams->open; i-- > 0;) {
        uv_handle_t *handle = (uv_handle_t *)&streams->handles[i].pipe;

        if (!uv_is_closing(handle))
            uv_close(handle, on_stream_closed);
    }
}

void conn_close(struct conn *conn, enum conn_end how)
{
    if (conn->family == FAMILY_TCP)
        sock_reset_on_close(conn_fd(conn), how == CONN_RESET);
    if (conn->family == FAMILY_STDIO) {
        let_block_again(conn_fd(conn));
        let_block_again(writer_fd(conn));
    }
    if (conn->shared && conn->loop) {
        loop_unwatch_one(conn->loop, conn_fd(conn));
        loop_unwatch_one(conn->loop, writer_fd(conn));
    }
    if (conn->streams)
        close_streams(conn->streams);
    if (conn->loop)
        loop_forget(conn->loop, &conn->watch);
    if (conn->wfd >= 0 && conn->wfd != conn->rfd)
        close(conn->wfd);
    if (conn->rfd >= 0)
        close(conn->rfd);
    conn_init(conn);
}

int conn_move(struct conn *to, struct conn *from)
{
    const struct incoming stream = {
        .rfd = from->rfd, .wfd = from->wfd, .family = (enum family)from->family};
    struct loop *loop = from->loop;

    unwatch(from);
    conn_init(from);
    return conn_adopt(to, loop, &stream);
}

int conn_adopt(struct conn *conn, struct loop *loop, const struct incoming *incoming)
{
    int status = conn_open(conn, loop, incoming->rfd, incoming->wfd, incoming->family);

    if (status != 0) {
        incoming_refuse(incoming);
        conn_init(conn);
    }
    conn->shared = incoming->inherited;
    return status;
}

void incoming_refuse(const struct incoming *incoming)
{
    struct conn conn;

    conn_init(&conn);
    conn.rfd = incoming->rfd;
    conn.wfd = incoming->wfd;
    conn.family = (uint8_t)incoming->family;
    conn_close(&conn, CONN_RESET);
}

int conn_open_single(struct conn *conn, struct loop *loop, const struct endpoint *endpoint,
                     const struct sock_options *options, struct err *err)
{
    struct incoming incoming;
    int status;

    status = endpoint->family == FAMILY_STDIO
                 ? sock_take_stdio(&incoming, options, err)
                 : sock_take_fd(endpoint->u.fd, &incoming, options, err);
    if (status != 0)
        return -1;
    sock_cover(endpoint);
    status = conn_adopt(conn, loop, &incoming);
    return status == 0 ? 0 : err_system(err, status, "cannot wait for it");
}
