#include "sock_os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* After `keepalive` without traffic: a peer that is gone is found within another minute. */
enum { KEEPALIVE_INTERVAL = 15, KEEPALIVE_TRIES = 4 };

static void set_int(int fd, int level, int name, uint64_t value)
{
    int option = value > INT32_MAX ? INT32_MAX : (int)value;

    setsockopt(fd, level, name, &option, sizeof option);
}

/* The maximum has to be raised before the size (af_vsock.c clamps one by the other). */
static void set_vsock_credit(int fd, uint64_t bytes)
{
    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &bytes, sizeof bytes);
    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &bytes, sizeof bytes);
}

void sock_set_buffers(int fd, enum family family, const struct sock_options *options)
{
    if (options->send_buffer)
        set_int(fd, SOL_SOCKET, SO_SNDBUF, options->send_buffer);
    if (options->receive_buffer) {
        set_int(fd, SOL_SOCKET, SO_RCVBUF, options->receive_buffer);
        if (family == FAMILY_VSOCK)
            set_vsock_credit(fd, options->receive_buffer);
    }
}

void sock_reset_on_close(int fd, bool on)
{
    struct linger linger = {.l_onoff = on, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void sock_keep_urgent(int fd)
{
    set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

static void set_tcp(int fd, const struct sock_options *options)
{
    sock_reset_on_close(fd, true);
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    sock_keep_urgent(fd);
    if (options->user_timeout)
        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout);
    if (options->keepalive) {
        set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (options->keepalive + 999) / 1000);
        set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
        set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_TRIES);
    }
}

void sock_set_options(int fd, enum family family, const struct sock_options *options)
{
    if (family == FAMILY_TCP)
        set_tcp(fd, options);
    else if (family == FAMILY_UNIX)
        sock_keep_urgent(fd);
    sock_set_buffers(fd, family, options);
}

/* Of a socket that nobody has set anything of; `credit` of vsock. Returns -1, with errno. */
static int get_buffers(int fd, enum family family, int *send, int *receive, uint64_t *credit)
{
    socklen_t length = sizeof *send, credit_length = sizeof *credit;

    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, send, &length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_RCVBUF, receive, &length) != 0)
        return -1;
    if (family != FAMILY_VSOCK)
        return 0;
    return getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, credit, &credit_length);
}

/* The sizes of a new socket of that kind; and the kernel tunes what `to` does not set. */
static int reset_buffers(int fd, const struct address *address, const struct sock_options *to)
{
    int fresh = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int set = (to->send_buffer ? 1 : 0) | (to->receive_buffer ? 2 : 0); /* SOCK_..BUF_LOCK */
    int send = 0, receive = 0, status = 0;
    uint64_t credit = 0;

    if (fresh < 0)
        return uv_translate_sys_error(errno);
    if (get_buffers(fresh, address->family, &send, &receive, &credit) != 0)
        status = uv_translate_sys_error(errno);
    close(fresh);
    if (status != 0)
        return status;
    set_int(fd, SOL_SOCKET, SO_SNDBUF, (uint64_t)send / 2); /* the kernel doubles it */
    set_int(fd, SOL_SOCKET, SO_RCVBUF, (uint64_t)receive / 2);
    set_int(fd, SOL_SOCKET, SO_BUF_LOCK, (uint64_t)set);
    if (credit > 0)
        set_vsock_credit(fd, credit);
    return 0;
}

int sock_change_options(int fd, const struct address *address, const struct sock_options *from,
                        const struct sock_options *to)
{
    int status = 0;

    if (address->family == FAMILY_TCP) {
        set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, to->user_timeout);
        if (to->keepalive == 0)
            set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    }
    if ((from->send_buffer && !to->send_buffer) || (from->receive_buffer && !to->receive_buffer))
        status = reset_buffers(fd, address, to);
    sock_set_options(fd, address->family, to);
    return status;
}

int sock_create(const struct address *address, const struct sock_options *options)
{
    int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return uv_translate_sys_error(errno);
    sock_set_options(fd, address->family, options);
    return fd;
}

void sock_credentials(int fd, struct peer *peer)
{
    struct ucred credentials;
    socklen_t length = sizeof credentials;

    if (peer->family != FAMILY_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
        return;
    peer->u.local.pid = (uint32_t)credentials.pid;
    peer->u.local.uid = credentials.uid;
    peer->u.local.gid = credentials.gid;
}

void sock_peer(const struct incoming *incoming, struct peer *out)
{
    struct address address = {.length = sizeof address.sa, .family = incoming->family};

    if (getpeername(incoming->rfd, (struct sockaddr *)&address.sa, &address.length) != 0) {
        *out = (struct peer){.family = FAMILY_FD};
        return;
    }
    address_to_peer(&address, out);
    sock_credentials(incoming->rfd, out);
}

int sock_family(int fd)
{
    int domain = 0, type = 0;
    socklen_t length = sizeof domain;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM)
        return -1;
    switch (domain) {
    case AF_INET:
    case AF_INET6:
        return FAMILY_TCP;
    case AF_UNIX:
        return FAMILY_UNIX;
    case AF_VSOCK:
        return FAMILY_VSOCK;
    default:
        return -1;
    }
}

/* A descriptor of our own for what `fd` is. A pipe or terminal is opened anew, so that O_NONBLOCK
 * does not reach the processes that share it (the shell, the rest of a pipeline); a socket can't
 * be, and a file needs no O_NONBLOCK. */
static int private_copy(int fd, int mode)
{
    char path[32] = "/proc/self/fd/0";
    struct stat info;
    int copy = -1;

    path[strlen(path) - 1] = (char)('0' + fd);
    if (fstat(fd, &info) != 0)
        return -1;
    if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode))
        copy = open(path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (copy < 0)
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy >= 0 && !S_ISREG(info.st_mode))
        fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK);
    return copy;
}

static bool is_open_for(int fd, int wrong_mode)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && (flags & O_ACCMODE) != wrong_mode;
}

/* inetd's way: both are the same socket, which then has to be shut down, not closed. */
static bool same_socket(int a, int b)
{
    struct stat sa, sb;

    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && S_ISSOCK(sa.st_mode) &&
           sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Nothing else may hold the stream open, or its other end would never see the end; and the number
 * must not become another stream's. */
static void cover(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return;
    dup3(null, fd, fd > 2 ? O_CLOEXEC : 0);
    close(null);
}

void sock_cover(const struct endpoint *endpoint)
{
    if (endpoint->family == FAMILY_FD)
        cover(endpoint->u.fd);
    if (endpoint->family == FAMILY_STDIO) {
        cover(0);
        cover(1);
    }
}

static atomic_bool stdio_taken;

void sock_return_stdio(void)
{
    atomic_store(&stdio_taken, false);
}

int sock_take_stdio(struct incoming *out, const struct sock_options *options, struct err *err)
{
    if (atomic_exchange(&stdio_taken, true))
        return err_set(err, UV_EBUSY, "standard input and output are in use by another session");
    if (!is_open_for(0, O_WRONLY) || !is_open_for(1, O_RDONLY))
        return err_system(err, UV_EBADF, "cannot use standard input and output");
    out->inherited = true;
    out->family = FAMILY_STDIO;
    if (same_socket(0, 1) && sock_family(0) >= 0) {
        out->family = (enum family)sock_family(0);
        out->rfd = out->wfd = private_copy(0, O_RDWR);
        sock_set_options(out->rfd, out->family, options);
    } else {
        out->rfd = private_copy(0, O_RDONLY);
        out->wfd = private_copy(1, O_WRONLY);
    }
    if (out->rfd < 0 || out->wfd < 0)
        return err_system(err, uv_translate_sys_error(errno),
                          "cannot use standard input and output");
    return 0;
}

int sock_take_fd(int fd, struct incoming *out, const struct sock_options *options, struct err *err)
{
    int family = sock_family(fd);

    if (family < 0)
        return err_set(err, 0, "descriptor %d is not an open stream socket", fd);
    out->inherited = true;
    out->family = (enum family)family;
    out->rfd = out->wfd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (out->rfd < 0)
        return err_system(err, uv_translate_sys_error(errno), "cannot use descriptor %d", fd);
    fcntl(out->rfd, F_SETFL, fcntl(out->rfd, F_GETFL) | O_NONBLOCK);
    sock_set_options(out->rfd, out->family, options);
    return 0;
}
