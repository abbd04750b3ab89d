#include "../peer.h"

#include "../check.h"
#include "../clock.h"
#include "address.h"
#include "socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define WANTS_MAX 4096

struct peer {
    struct peer *next, **link; /* in the list of all peers */
    int fd;
    bool tcp;
    bool reset; /* the system has told of a reset, and will not again */
};

static struct peer *all;
static char why[128];
static bool timed_out;

struct peer *peer_of_socket(int fd, const struct address *address)
{
    struct peer *peer = malloc(sizeof *peer);
    assert_non_null(peer);
    peer->fd = fd;
    peer->tcp = address->storage.ss_family == AF_INET;
    peer->reset = false;
    peer->next = all;
    peer->link = &all;
    if (all != NULL)
        all->link = &peer->next;
    all = peer;

    int on = 1;
    if (peer->tcp) /* the peers write what they mean at once; so must the relay */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return peer;
}

int await_socket(int fd, short events, uint64_t timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    uint64_t deadline = clock_ms() + timeout_ms;
    int n;
    do
        n = poll(&poll_fd, 1, (int)clock_left_ms(deadline));
    while (n < 0 && errno == EINTR);
    return n;
}

/* unix: a full backlog makes a non-blocking connect fail, so block, for as long as a send may. */
static int connect_unix(int fd, const struct address *address, uint64_t timeout_ms)
{
    struct timeval limit = {.tv_sec = (time_t)(timeout_ms / 1000),
                            .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return connect(fd, (const struct sockaddr *)&address->storage, address->len) == 0 ? 0 : errno;
}

int connect_socket(int fd, const struct address *address, uint64_t timeout_ms)
{
    if (connect(fd, (const struct sockaddr *)&address->storage, address->len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (await_socket(fd, POLLOUT, timeout_ms) == 0)
        return ETIMEDOUT;
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

static struct peer *connect_to(const struct address *address, uint64_t timeout_ms)
{
    bool blocking = address->storage.ss_family == AF_UNIX;
    int fd = address_socket(address, blocking ? 0 : SOCK_NONBLOCK);
    if (fd < 0)
        fail_msg("socket: %s", strerror(errno));
    int error =
        blocking ? connect_unix(fd, address, timeout_ms) : connect_socket(fd, address, timeout_ms);
    bool reset = error == ECONNRESET && address->storage.ss_family == AF_INET;
    if (error == 0 || reset) { /* tcp: it was connected, and has been reset since */
        struct peer *peer = peer_of_socket(fd, address);
        peer->reset = reset;
        return peer;
    }
    close(fd);
    timed_out = error == ETIMEDOUT || error == EAGAIN;
    snprintf(why, sizeof why, "%s", strerror(error));
    return NULL;
}

struct peer *peer_connect(const char *endpoint, uint64_t timeout_ms)
{
    struct address address = {0};
    if (!address_to_reach(endpoint, &address))
        fail_msg("the tests cannot connect to '%s'", endpoint);
    return connect_to(&address, timeout_ms);
}

const char *peer_error(void)
{
    return why;
}

bool peer_timed_out(void)
{
    return timed_out;
}

/* vsock gives ENOTCONN instead of EOF to one who reads just as the other's close is being handled;
 * after a reset of the transport there is an error beside it. */
static bool is_vsock_eof(int fd)
{
    int domain = 0, error = 0;
    socklen_t length = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_VSOCK &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

long peer_recv(struct peer *peer, void *buf, size_t len)
{
    if (peer->reset)
        return PEER_RESET;
    ssize_t n = recv(peer->fd, buf, len, MSG_DONTWAIT);
    if (n > 0)
        return n;
    if (n == 0)
        return PEER_EOF;
    if (errno == EAGAIN || errno == EINTR)
        return PEER_LATER;
    if (errno == ENOTCONN && is_vsock_eof(peer->fd))
        return PEER_EOF;
    if (errno == ECONNRESET)
        return PEER_RESET;
    fail_msg("recv: %s", strerror(errno));
    return PEER_RESET;
}

static long send_with(struct peer *peer, const void *buf, size_t len, int flags)
{
    if (peer->reset)
        return PEER_RESET;
    ssize_t n = send(peer->fd, buf, len, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return PEER_LATER;
    if (errno == ECONNRESET || errno == EPIPE || errno == ENOTCONN)
        return PEER_RESET;
    if (errno == EOPNOTSUPP && flags & MSG_OOB)
        return send_with(peer, buf, len, 0);
    fail_msg("send: %s", strerror(errno));
    return PEER_RESET;
}

long peer_send(struct peer *peer, const void *buf, size_t len)
{
    return send_with(peer, buf, len, 0);
}

long peer_send_urgent(struct peer *peer, const void *buf, size_t len)
{
    return send_with(peer, buf, len, MSG_OOB);
}

void peer_end_sending(struct peer *peer)
{
    shutdown(peer->fd, SHUT_WR);
}

/* Not on vsock: there SO_LINGER only makes close() block. */
void peer_abort(struct peer *peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (peer->tcp)
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_close(peer);
}

void peer_close(struct peer *peer)
{
    if (peer == NULL)
        return;
    *peer->link = peer->next;
    if (peer->next != NULL)
        peer->next->link = peer->link;
    close(peer->fd);
    free(peer);
}

void peers_close_all(void)
{
    while (all != NULL)
        peer_close(all);
}

/* poll reports an error or a hang-up even when nothing was asked: leave such entries out. */
static struct pollfd poll_entry(const struct peer_want *want)
{
    short events = (short)((want->read ? POLLIN : 0) | (want->write ? POLLOUT : 0));
    return (struct pollfd){.fd = events != 0 ? want->peer->fd : -1, .events = events};
}

size_t peers_wait(struct peer_want *wants, size_t n, uint64_t timeout_ms)
{
    static struct pollfd fds[WANTS_MAX];
    uint64_t deadline = clock_ms() + timeout_ms;
    size_t can = 0;
    int ready;

    assert_in_range(n, 1, WANTS_MAX);
    for (size_t i = 0; i < n; i++)
        fds[i] = poll_entry(&wants[i]);
    do
        ready = poll(fds, (nfds_t)n, (int)clock_left_ms(deadline));
    while (ready < 0 && errno == EINTR);
    for (size_t i = 0; i < n; i++) {
        bool over = (fds[i].revents & (POLLERR | POLLHUP)) != 0;
        wants[i].can_read = wants[i].read && (over || (fds[i].revents & POLLIN) != 0);
        wants[i].can_write = wants[i].write && (over || (fds[i].revents & POLLOUT) != 0);
        can += wants[i].can_read || wants[i].can_write;
    }
    return can;
}
