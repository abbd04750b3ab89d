/* A listener that is opened while others still listen, which it replaces.
 *
 * The same address is the same socket: a copy of its descriptor. Nothing that waits in it is lost.
 *
 * An address that overlaps (127.0.0.1:80 and *:80) can't be bound beside one that listens, unless
 * both have SO_REUSEPORT. They have it for the moment of the bind only. Even so Linux remembers it
 * of the port: as long as the socket lives, a process of this user that sets SO_REUSEPORT itself
 * can bind the port as well. A second hvrelay does not: it says that the address is in use. The
 * more specific socket gets the clients as long as both listen; those that wait in the old one when
 * it is closed are reset. */

#include "listener_os.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static bool is_v6only(int fd)
{
    int only = 0;
    socklen_t length = sizeof only;

    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length);
    return only;
}

static bool is_same_v4(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *first = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in *second = (const struct sockaddr_in *)(const void *)b;

    return first->sin_port == second->sin_port && first->sin_addr.s_addr == second->sin_addr.s_addr;
}

static bool is_same_v6(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in6 *first = (const struct sockaddr_in6 *)(const void *)a;
    const struct sockaddr_in6 *second = (const struct sockaddr_in6 *)(const void *)b;

    return first->sin6_port == second->sin6_port && first->sin6_scope_id == second->sin6_scope_id &&
           memcmp(&first->sin6_addr, &second->sin6_addr, sizeof first->sin6_addr) == 0;
}

static bool is_bound_to(int fd, const struct address *address, bool all)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;

    memset(&bound, 0, sizeof bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0 ||
        bound.ss_family != address->sa.ss_family)
        return false;
    if (bound.ss_family == AF_INET)
        return is_same_v4(&bound, &address->sa);
    return is_same_v6(&bound, &address->sa) && is_v6only(fd) != all;
}

int overlap_take(struct listener *listener, const struct address *address)
{
    bool all = strcmp(listener->endpoint.u.tcp.host, "*") == 0;

    for (size_t i = 0; i < listener->leaving_count && address->family == FAMILY_TCP; i++) {
        const struct listener *old = listener->leaving[i];

        for (int n = 0; n < old->count; n++) {
            int fd;

            if (old->families[n] != FAMILY_TCP || !is_bound_to(old->fds[n], address, all))
                continue;
            fd = fcntl(old->fds[n], F_DUPFD_CLOEXEC, 3);
            listener->options = old->options;
            return fd >= 0 ? fd : uv_translate_sys_error(errno);
        }
    }
    return UV_ENOENT;
}

static void set_shared(int fd, bool on)
{
    int value = on;

    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value);
}

void overlap_allow(const struct listener *listener, int fd, bool on)
{
    if (listener->leaving_count == 0 || listener->endpoint.family != FAMILY_TCP)
        return;
    set_shared(fd, on);
    for (size_t i = 0; i < listener->leaving_count; i++) {
        for (int n = 0; n < listener->leaving[i]->count; n++) {
            if (listener->leaving[i]->families[n] == FAMILY_TCP)
                set_shared(listener->leaving[i]->fds[n], on);
        }
    }
}
