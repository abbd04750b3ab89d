#include "net.h"

#include "../../guest/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DISCARD = 256 * 1024 }; /* bytes per read */

int patience = 20000;

_Noreturn void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("bench-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct where parse_tcp(const char *text)
{
    struct where where = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&where.address.any;
    char host[64];
    unsigned port;

    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &in->sin_addr) != 1)
        die("not an address: 'tcp:%s'", text);
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    return where;
}

static struct where parse_vsock(const char *text)
{
    struct where where = {.length = sizeof(struct sockaddr_vm)};
    struct sockaddr_vm *vm = (struct sockaddr_vm *)&where.address.any;

    guest_assert();
    if (sscanf(text, "%u:%u", &vm->svm_cid, &vm->svm_port) != 2)
        die("not an address: 'vsock:%s'", text);
    if (vm->svm_port == 0)
        vm->svm_port = VMADDR_PORT_ANY;
    vm->svm_family = AF_VSOCK;
    return where;
}

static struct where parse_unix(const char *path)
{
    struct where where = {.length = sizeof where.address.un};

    where.address.un.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof where.address.un.sun_path)
        die("too long: 'unix:%s'", path);
    strcpy(where.address.un.sun_path, path);
    return where;
}

struct where where_parse(const char *text)
{
    if (strncmp(text, "tcp:", 4) == 0)
        return parse_tcp(text + 4);
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5);
    if (strncmp(text, "vsock:", 6) == 0)
        return parse_vsock(text + 6);
    die("not an endpoint: '%s'", text);
}

void where_format(const struct where *where, char out[ENDPOINT_TEXT])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&where->address.any;
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&where->address.any;
    char host[INET_ADDRSTRLEN];

    if (where->address.sa.sa_family == AF_UNIX) {
        snprintf(out, ENDPOINT_TEXT, "unix:%s", where->address.un.sun_path);
    } else if (where->address.sa.sa_family == AF_VSOCK) {
        snprintf(out, ENDPOINT_TEXT, "vsock:%u:%u", vm->svm_cid, vm->svm_port);
    } else {
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, ENDPOINT_TEXT, "tcp:%s:%u", host, ntohs(in->sin_port));
    }
}

static int open_socket(const struct where *where)
{
    int fd = socket(where->address.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket: %s", strerror(errno));
    return fd;
}

static void set_nodelay(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* TCP only; others refuse */
}

int net_listen(struct where *where)
{
    int fd = open_socket(where);

    if (bind(fd, &where->address.sa, where->length) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, &where->address.sa, &where->length) != 0)
        die("listen: %s", strerror(errno));
    return fd;
}

int net_connect(const struct where *where)
{
    int fd = open_socket(where);

    set_nodelay(fd);
    while (connect(fd, &where->address.sa, where->length) != 0 && errno != EINPROGRESS) {
        if (errno != EAGAIN) /* the backlog of a unix socket is full: it has no queue behind it */
            die("connect: %s", strerror(errno));
        sched_yield();
    }
    return fd;
}

void net_check(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0)
        die("connect: %s", strerror(error));
}

int net_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 && errno != EAGAIN)
        die("accept: %s", strerror(errno));
    if (fd >= 0)
        set_nodelay(fd);
    return fd;
}

size_t net_send(int fd, const void *bytes, size_t length)
{
    ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL);

    if (count < 0 && errno != EAGAIN)
        die("send: %s", strerror(errno));
    return count < 0 ? 0 : (size_t)count;
}

static size_t checked(ssize_t count)
{
    if (count < 0 && errno != EAGAIN)
        die("receive: %s", strerror(errno));
    if (count == 0)
        die("receive: an end of file that nobody sent");
    return count < 0 ? 0 : (size_t)count;
}

size_t net_receive(int fd, void *bytes, size_t length)
{
    return checked(recv(fd, bytes, length, 0));
}

size_t net_discard(int fd)
{
    static _Thread_local char sink[DISCARD];

    return checked(recv(fd, sink, sizeof sink, MSG_TRUNC));
}

ssize_t net_try_receive(int fd, void *bytes, size_t length)
{
    ssize_t count = recv(fd, bytes, length, 0);

    if (count < 0)
        return errno == EAGAIN ? 0 : -1;
    return count == 0 ? -1 : count;
}
