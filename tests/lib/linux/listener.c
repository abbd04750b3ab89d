#include "../peer.h"

#include "../check.h"
#include "address.h"
#include "socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct listener {
    int fd;
    struct address address;
    char endpoint[ENDPOINT_MAX];
    int fillers[4]; /* -1: none */
};

/* One connection fills a backlog of 0; the next shows that it is full: it fails or stays pending.
 */
static void fill_backlog(struct listener *listener)
{
    struct address address = {0};
    address_to_reach(listener->endpoint, &address);
    for (size_t i = 0; i < sizeof listener->fillers / sizeof listener->fillers[0]; i++) {
        int fd = address_socket(&address, SOCK_NONBLOCK);
        listener->fillers[i] = fd;
        if (fd < 0 || connect_socket(fd, &address, 100) != 0)
            return;
    }
    fail_msg("the backlog of '%s' does not fill up", listener->endpoint);
}

/* A socket bound to the address, or -1 and errno. What is left of old connections is no obstacle.
 */
static int bound_socket(const struct address *address)
{
    int on = 1, fd = address_socket(address, SOCK_NONBLOCK);
    if (fd < 0)
        return -1;
    if (address->storage.ss_family == AF_INET)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&address->storage, address->len) == 0)
        return fd;
    close(fd);
    return -1;
}

struct listener *listener_open(const struct family *family, enum listener_kind kind)
{
    struct listener *listener = calloc(1, sizeof *listener);
    assert_non_null(listener);
    memset(listener->fillers, -1, sizeof listener->fillers);
    address_to_bind(family, &listener->address);
    listener->fd = bound_socket(&listener->address);
    if (listener->fd < 0)
        fail_msg("cannot bind a target of family %s: %s", family->name, strerror(errno));
    address_of_bound(family, listener->fd, listener->endpoint);

    int backlog = kind == LISTENER_SILENT ? 0 : 1024;
    if (kind != LISTENER_REFUSING && listen(listener->fd, backlog) != 0)
        fail_msg("cannot listen on '%s': %s", listener->endpoint, strerror(errno));
    if (kind == LISTENER_SILENT)
        fill_backlog(listener);
    return listener;
}

const char *listener_endpoint(const struct listener *listener)
{
    return listener->endpoint;
}

struct peer *listener_accept(struct listener *listener, uint64_t timeout_ms)
{
    if (await_socket(listener->fd, POLLIN, timeout_ms) <= 0)
        return NULL;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        fail_msg("accept on '%s': %s", listener->endpoint, strerror(errno));
    return peer_of_socket(fd, &listener->address);
}

void listener_down(struct listener *listener)
{
    close(listener->fd);
    listener->fd = -1;
    if (address_path(&listener->address) != NULL)
        unlink(address_path(&listener->address));
}

bool listener_up(struct listener *listener)
{
    struct address address = {0};

    address_to_reach(listener->endpoint, &address);
    int fd = bound_socket(&address);
    if (fd < 0)
        return false;
    if (listen(fd, 1024) != 0)
        fail_msg("cannot listen on '%s': %s", listener->endpoint, strerror(errno));
    listener->fd = fd;
    return true;
}

void listener_close(struct listener *listener)
{
    if (listener == NULL)
        return;
    for (size_t i = 0; i < sizeof listener->fillers / sizeof listener->fillers[0]; i++)
        if (listener->fillers[i] >= 0)
            close(listener->fillers[i]);
    if (listener->fd >= 0)
        listener_down(listener);
    free(listener);
}
