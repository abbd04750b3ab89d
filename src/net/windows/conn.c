#include "net/conn.h"

#include "npipe_stream.h"
#include "sock_os.h"

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>

#include <winsock2.h>

enum { WATCH_EVERY = 500 }; /* ms */

/* libuv's handles must stay where they are until their close callbacks have run. */
struct stream {
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
        uv_tty_t tty;
    } u;
    struct conn_streams *all;
};

struct conn_streams {
    struct stream streams[2]; /* the second one is the writer of stdio */
    int open;
    struct loop *loop;
    struct npipe_reader *reader; /* of a named pipe, once it is a stream for the pump */
    struct conn *conn;           /* whose loss is watched for */
    void (*ready)(struct conn *conn);
    struct timer watch;
};

void conn_init(struct conn *conn)
{
    conn->streams = NULL;
    conn->family = FAMILY_TCP;
}

bool conn_is_open(const struct conn *conn)
{
    return conn->streams != NULL;
}

/* --- watching --- */

/* Only a reset is an error to WSAPoll; an end is a hang-up. */
static bool is_reset(const struct conn_streams *all)
{
    uv_os_fd_t handle;
    WSAPOLLFD poll;

    if (all->streams[0].u.any.type != UV_TCP || uv_fileno(&all->streams[0].u.any, &handle) != 0)
        return false;
    poll = (WSAPOLLFD){.fd = (SOCKET)handle};
    return WSAPoll(&poll, 1, 0) == 1 && poll.revents & POLLERR;
}

/* Nothing that is under way tells of a reset while nobody reads, so the socket is asked. */
static void on_watch(struct timer *timer)
{
    struct conn_streams *all = list_entry(timer, struct conn_streams, watch);

    if (is_reset(all))
        all->ready(all->conn);
    else
        timer_set(&all->loop->timers, timer, WATCH_EVERY);
}

void conn_watch_loss(struct conn *conn, void (*ready)(struct conn *conn))
{
    struct conn_streams *all = conn->streams;

    if (all->streams[0].u.any.type != UV_TCP)
        return;
    all->conn = conn;
    all->ready = ready;
    timer_set(&all->loop->timers, &all->watch, WATCH_EVERY);
}

bool conn_lost(struct conn *conn)
{
    const struct conn_streams *all = conn->streams;

    return all->reader ? npipe_reader_is_lost(all->reader) : is_reset(all);
}

bool conn_has_left(struct conn *conn)
{
    (void)conn;
    return false;
}

bool conn_has_unsent(struct conn *conn)
{
    (void)conn;
    return false;
}

bool conn_may_have_left(struct conn *conn)
{
    uv_os_fd_t handle;
    WSAPOLLFD poll;
    char byte;

    if (conn->family != FAMILY_TCP || uv_fileno(&conn->streams->streams[0].u.any, &handle) != 0)
        return false;
    poll = (WSAPOLLFD){.fd = (SOCKET)handle, .events = POLLRDNORM};
    return WSAPoll(&poll, 1, 0) == 1 && recv((SOCKET)handle, &byte, 1, MSG_PEEK) == 0;
}

/* A reset that comes while there is something to read is an EOF behind that to Wine 8. */
/* Here libuv's EOF is that of a read. */
bool conn_has_unread(struct conn *conn)
{
    (void)conn;
    return false;
}

int conn_pending_error(struct conn *conn)
{
    return is_reset(conn->streams) ? UV_ECONNRESET : 0;
}

/* --- opening --- */

static void on_stream_closed(uv_handle_t *handle)
{
    struct conn_streams *all = list_entry(handle, struct stream, u.any)->all;

    if (--all->open == 0)
        free(all);
}

static void close_stream(struct conn_streams *all, int i)
{
    if (!uv_is_closing(&all->streams[i].u.any))
        uv_close(&all->streams[i].u.any, on_stream_closed);
}

/* The next of the streams, once its handle is initialised. */
static void count_in(struct conn_streams *all)
{
    all->streams[all->open].all = all;
    all->open++;
}

static int open_socket(struct conn_streams *all, struct loop *loop, HANDLE handle)
{
    uv_tcp_t *tcp = &all->streams[0].u.tcp;
    int status = uv_tcp_init(&loop->uv, tcp);

    if (status == 0) {
        count_in(all);
        status = uv_tcp_open(tcp, (uv_os_sock_t)handle);
    }
    if (status != 0)
        closesocket((SOCKET)handle);
    return status;
}

/* libuv takes pipes as descriptors of the C library, which own the handle from then on. */
static int open_pipe(struct conn_streams *all, struct loop *loop, int fd)
{
    uv_pipe_t *pipe = &all->streams[all->open].u.pipe;
    int status = uv_pipe_init(&loop->uv, pipe, 0);

    if (status == 0) {
        count_in(all);
        status = uv_pipe_open(pipe, fd);
    }
    return status;
}

static int open_named_pipe(struct conn_streams *all, struct loop *loop, HANDLE handle)
{
    int fd = _open_osfhandle((intptr_t)handle, 0);
    int status;

    if (fd < 0) {
        CloseHandle(handle);
        return UV_EMFILE;
    }
    status = open_pipe(all, loop, fd);
    if (status != 0)
        _close(fd);
    return status;
}

/* libuv works on a duplicate of a standard handle. While the first one is open too, the other end
 * of the pipe does not see the stream's end. */
static void replace_standard(int fd)
{
    int nothing = _open("NUL", fd == 0 ? _O_RDONLY : _O_WRONLY);

    if (nothing < 0)
        return;
    _dup2(nothing, fd);
    _close(nothing);
}

static int open_standard(struct conn_streams *all, struct loop *loop, int fd)
{
    uv_tty_t *tty = &all->streams[all->open].u.tty;
    int status;

    switch (uv_guess_handle(fd)) {
    case UV_NAMED_PIPE:
        status = open_pipe(all, loop, fd);
        if (status == 0)
            replace_standard(fd);
        return status;
    case UV_TTY:
        status = uv_tty_init(&loop->uv, tty, fd, 0);
        if (status == 0)
            count_in(all);
        return status;
    default:
        return UV_ENOTSUP;
    }
}

static int open_any(struct conn_streams *all, struct loop *loop, const struct incoming *incoming)
{
    int status;

    switch (incoming->family) {
    case FAMILY_NPIPE:
        return open_named_pipe(all, loop, incoming->handle);
    case FAMILY_STDIO:
        status = open_standard(all, loop, 0);
        return status == 0 ? open_standard(all, loop, 1) : status;
    default:
        return open_socket(all, loop, incoming->handle);
    }
}

static void close_all(struct conn_streams *all)
{
    if (all->open == 0) {
        free(all);
        return;
    }
    for (int i = all->open; i-- > 0;)
        close_stream(all, i);
}

int conn_open(struct conn *conn, struct loop *loop, const struct incoming *incoming)
{
    struct conn_streams *all = calloc(1, sizeof *all);
    int status;

    conn_init(conn);
    if (!all) {
        handle_close(incoming->family, incoming->handle);
        return UV_ENOMEM;
    }
    all->loop = loop;
    timer_init(&all->watch, on_watch);
    status = open_any(all, loop, incoming);
    if (status != 0) {
        close_all(all);
        return status;
    }
    conn->streams = all;
    conn->family = (uint8_t)incoming->family;
    return 0;
}

int conn_adopt(struct conn *conn, struct loop *loop, const struct incoming *incoming)
{
    return conn_open(conn, loop, incoming);
}

int conn_move(struct conn *to, struct conn *from)
{
    *to = *from;
    conn_init(from);
    return 0;
}

int conn_open_single(struct conn *conn, struct loop *loop, const struct endpoint *endpoint,
                     const struct sock_options *options, struct err *err)
{
    struct incoming incoming;
    int status;

    (void)options; /* standard input and output are no socket */

    if (sock_check_standard(err) != 0 || sock_take_single(endpoint, &incoming, err) != 0)
        return -1;
    status = conn_open(conn, loop, &incoming);
    return status == 0 ? 0 : err_system(err, status, "cannot use standard input and output");
}

/* --- use and end --- */

int conn_streams(struct conn *conn, uv_stream_t **reader, uv_stream_t **writer, struct err *err)
{
    struct conn_streams *all = conn->streams;
    int status = 0;

    *reader = &all->streams[0].u.stream;
    *writer = &all->streams[all->open - 1].u.stream;
    timer_clear(&all->loop->timers, &all->watch);
    if (conn->family == FAMILY_NPIPE && !all->reader)
        status = npipe_reader_open(all->loop, *reader, &all->reader);
    return status == 0 ? 0 : err_system(err, status, "cannot read from the pipe");
}

int conn_read_start(struct conn *conn, uv_alloc_cb alloc, uv_read_cb read)
{
    if (!conn->streams->reader)
        return uv_read_start(&conn->streams->streams[0].u.stream, alloc, read);
    npipe_reader_start(conn->streams->reader, alloc, read);
    return 0;
}

void conn_read_stop(struct conn *conn)
{
    if (conn->streams->reader)
        npipe_reader_stop(conn->streams->reader);
    else
        uv_read_stop(&conn->streams->streams[0].u.stream);
}

int conn_shut(struct conn *conn, uv_shutdown_t *request, uv_shutdown_cb done)
{
    uv_stream_t *stream = &conn->streams->streams[0].u.stream;

    if (conn->family != FAMILY_NPIPE)
        return uv_shutdown(request, stream, done);
    return conn_lost(conn) ? UV_EALREADY : npipe_shut(conn->streams->loop, stream, request, done);
}

bool conn_knows_end(const struct conn *conn)
{
    return conn->family != FAMILY_NPIPE || npipe_knows_end(&conn->streams->streams[0].u.stream);
}

void conn_close_writer(struct conn *conn)
{
    close_stream(conn->streams, 1);
}

/* Closing after this sends a reset: TCP only. A Hyper-V socket has none to send. */
static void reset_on_close(const struct conn *conn)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    uv_os_fd_t handle;

    if (conn->family == FAMILY_TCP && uv_fileno(&conn->streams->streams[0].u.any, &handle) == 0)
        setsockopt((SOCKET)handle, SOL_SOCKET, SO_LINGER, (const char *)&linger, sizeof linger);
}

void conn_close(struct conn *conn, enum conn_end how)
{
    if (!conn->streams)
        return;
    if (how == CONN_RESET)
        reset_on_close(conn);
    timer_clear(&conn->streams->loop->timers, &conn->streams->watch);
    if (conn->streams->reader)
        npipe_reader_close(conn->streams->reader);
    close_all(conn->streams);
    conn_init(conn);
}

void incoming_refuse(const struct incoming *incoming)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (incoming->family == FAMILY_TCP)
        setsockopt((SOCKET)incoming->handle, SOL_SOCKET, SO_LINGER, (const char *)&linger,
                   sizeof linger);
    handle_close(incoming->family, incoming->handle);
}

bool conn_has_ended(struct conn *conn)
{
    (void)conn;
    return false;
}
