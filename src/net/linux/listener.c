#include "listener_os.h"

#include "activation.h"
#include "base/log.h"
#include "net/address.h"
#include "net/descriptors.h"
#include "net/resolve.h"
#include "sock_os.h"
#include "socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_code(void)
{
    return uv_translate_sys_error(errno);
}

static void remember_path(struct listener *listener)
{
    struct stat info;

    if (lstat(listener->endpoint.u.local.path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return;
    listener->has_path = true;
    listener->path_device = info.st_dev;
    listener->path_inode = info.st_ino;
    listener->made_uid = info.st_uid;
    listener->made_gid = info.st_gid;
}

bool listener_owns(const struct listener *listener, const struct stat *info)
{
    return listener->has_path && info->st_dev == listener->path_device &&
           info->st_ino == listener->path_inode;
}

static void remove_path(const struct listener *listener)
{
    struct stat info;

    if (!listener->has_path) /* of another family, `u` is no path either */
        return;
    if (lstat(listener->endpoint.u.local.path, &info) == 0 && listener_owns(listener, &info))
        unlink(listener->endpoint.u.local.path);
}

static bool has_file(const struct listener *listener)
{
    return listener->endpoint.family == FAMILY_UNIX && !listener->endpoint.u.local.abstract;
}

static int bind_socket(struct listener *listener, int fd, const struct address *address,
                       const struct sock_options *options, struct err *err)
{
    const struct sockaddr *sa = (const struct sockaddr *)&address->sa;
    bool has_path = has_file(listener);
    const char *path = listener->endpoint.u.local.path;
    struct stat info;
    int status = bind(fd, sa, address->length);

    if (status != 0 && errno == EADDRINUSE && has_path && socket_path_remove_stale(address, path))
        status = bind(fd, sa, address->length);
    if (status != 0 && errno == EADDRINUSE && has_path && lstat(path, &info) == 0 &&
        !S_ISSOCK(info.st_mode))
        return err_set(err, UV_EEXIST, "there is a file of that name, which is no socket");
    if (status != 0)
        return err_system(err, system_code(), "cannot bind");
    if (!has_path)
        return 0;
    remember_path(listener);
    return listener_set_access(listener, options, err);
}

/* Adds a descriptor to the listener, which closes it and gives its place in the budget back. */
static void add(struct listener *listener, int fd, enum family family)
{
    listener->families[listener->count] = family;
    listener->fds[listener->count++] = fd;
}

static int reserve_descriptor(struct err *err)
{
    return descriptors_reserve(1) ? 0 : err_system(err, UV_EMFILE, "no descriptor is left for it");
}

static void set_listening_options(const struct listener *listener, int fd,
                                  const struct address *address)
{
    int on = 1, off = 0;

    if (address->family == FAMILY_TCP)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                   strcmp(listener->endpoint.u.tcp.host, "*") == 0 ? &off : &on, sizeof on);
}

static int bind_and_listen(struct listener *listener, int fd, const struct address *address,
                           const struct sock_options *options, struct err *err)
{
    int lock = has_file(listener) ? socket_path_lock(listener->endpoint.u.local.path) : -1;
    int status = bind_socket(listener, fd, address, options, err);

    if (status == 0 && listen(fd, (int)options->backlog) != 0)
        status = err_system(err, system_code(), "cannot listen");
    if (lock >= 0)
        close(lock);
    return status;
}

/* Opens one socket and adds it to the listener. */
static int add_socket(struct listener *listener, const struct address *address,
                      const struct sock_options *options, struct err *err)
{
    const char *advice;
    int fd, status = -1;

    if (reserve_descriptor(err) != 0)
        return -1;
    fd = overlap_take(listener, address);
    if (fd >= 0) {
        add(listener, fd, address->family);
        return 0;
    }
    if (fd == UV_ENOENT)
        fd = sock_create(address, options);
    if (fd < 0) {
        descriptors_release(1);
        err_system(err, fd, "cannot create a socket");
    } else {
        add(listener, fd, address->family);
        set_listening_options(listener, fd, address);
        overlap_allow(listener, fd, true);
        status = bind_and_listen(listener, fd, address, options, err);
        overlap_allow(listener, fd, false);
    }
    if (status == 0)
        return 0;
    advice = address_listen_advice(address->family, err->code);
    return advice ? err_hint(err, advice) : -1;
}

static uint16_t *port_of(struct address *address)
{
    if (address->sa.ss_family == AF_INET6)
        return &((struct sockaddr_in6 *)(void *)&address->sa)->sin6_port;
    return &((struct sockaddr_in *)(void *)&address->sa)->sin_port;
}

/* Reads back the port that the system has chosen. */
static int learn_port(struct listener *listener, struct err *err)
{
    struct address bound = {.length = sizeof bound.sa};
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)(const void *)&bound.sa;
    struct endpoint *endpoint = &listener->endpoint;

    if (getsockname(listener->fds[0], (struct sockaddr *)&bound.sa, &bound.length) != 0)
        return err_system(err, system_code(), "cannot learn its port");
    if (endpoint->family == FAMILY_TCP)
        endpoint->u.tcp.port = ntohs(*port_of(&bound));
    else if (endpoint->family == FAMILY_VSOCK)
        endpoint->u.vsock.port = vm->svm_port;
    else if (endpoint->family == FAMILY_HYPERV)
        endpoint->u.hyperv.service = guid_from_port(vm->svm_port);
    return 0;
}

/* /etc/hosts and name servers know addresses that this machine does not have: "localhost" has an
 * IPv6 one where IPv6 is off. */
static bool is_lacking(int code)
{
    return code == UV_EAFNOSUPPORT || code == UV_EADDRNOTAVAIL;
}

static void warn_lacking(const char *host, const struct address *address, const struct err *err)
{
    char text[INET6_ADDRSTRLEN] = "";

    uv_ip_name((const struct sockaddr *)&address->sa, text, sizeof text);
    log_warning("'%s' is not listened on at %s: %s", host, text, err->msg);
}

/* One socket per address of the name that this machine has, all on the same port. "*" is one socket
 * for both IP versions, or for IPv4 where the kernel has no IPv6. */
static int open_tcp(struct listener *listener, const struct sock_options *options, struct err *err)
{
    struct address addresses[RESOLVE_MAX];
    bool all = strcmp(listener->endpoint.u.tcp.host, "*") == 0;
    int count = resolve_now(&listener->endpoint, addresses, RESOLVE_MAX, err);

    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        int opened = listener->count; /* a failed one may have a socket, or none */

        *port_of(&addresses[i]) = htons(listener->endpoint.u.tcp.port);
        if (add_socket(listener, &addresses[i], options, err) == 0) {
            if (learn_port(listener, err) != 0)
                return -1;
            if (all)
                return 0;
        } else if (!is_lacking(err->code)) {
            return -1;
        } else {
            if (!all && count > 1)
                warn_lacking(listener->endpoint.u.tcp.host, &addresses[i], err);
            if (listener->count > opened) {
                close(listener->fds[--listener->count]);
                descriptors_release(1);
            }
        }
    }
    return listener->count > 0 ? 0 : -1;
}

/* A listening socket that was made by somebody else. */
static void add_inherited(struct listener *listener, int fd, enum family family,
                          const struct sock_options *options)
{
    sock_set_options(fd, family, options);
    add(listener, fd, family);
}

/* An inherited descriptor is a listening socket, or one stream, whose descriptor is the session's
 * in the budget. */
static int open_fd(struct listener *listener, const struct sock_options *options, struct err *err)
{
    int listening = 0;
    socklen_t length = sizeof listening;

    getsockopt(listener->endpoint.u.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
    if (listening && reserve_descriptor(err) != 0)
        return -1;
    if (sock_take_fd(listener->endpoint.u.fd, &listener->only, options, err) != 0) {
        if (listening)
            descriptors_release(1);
        return -1;
    }
    listener->single = !listening;
    if (listening)
        add_inherited(listener, listener->only.rfd, listener->only.family, options);
    return 0;
}

/* The sockets stay open when this listener closes: so nothing that waits in them is lost. */
static int open_activated(struct listener *listener, const struct sock_options *options,
                          struct err *err)
{
    int fds[LISTENER_SOCKETS];
    int count = activation_find(listener->endpoint.u.name, fds, LISTENER_SOCKETS, err);

    for (int i = 0; i < count; i++) {
        int listening = 0, family = sock_family(fds[i]), fd;
        socklen_t length = sizeof listening;

        getsockopt(fds[i], SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
        if (family < 0 || !listening)
            return err_set(err, 0, "descriptor %d is no listening stream socket", fds[i]);
        if (reserve_descriptor(err) != 0)
            return -1;
        fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            err_system(err, system_code(), "cannot use descriptor %d", fds[i]);
            descriptors_release(1);
            return -1;
        }
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        add_inherited(listener, fd, (enum family)family, options);
    }
    return count < 0 ? -1 : 0;
}

static int open_any(struct listener *listener, const struct sock_options *options, struct err *err)
{
    struct address address;

    switch (listener->endpoint.family) {
    case FAMILY_TCP:
        return open_tcp(listener, options, err);
    case FAMILY_STDIO:
        listener->single = sock_take_stdio(&listener->only, options, err) == 0;
        return listener->single ? 0 : -1;
    case FAMILY_FD:
        return open_fd(listener, options, err);
    case FAMILY_SYSTEMD:
        return open_activated(listener, options, err);
    default:
        if (address_from_endpoint(&listener->endpoint, &address, err) != 0 ||
            add_socket(listener, &address, options, err) != 0)
            return -1;
        return learn_port(listener, err);
    }
}

int listener_replace(const struct endpoint *endpoint, const struct sock_options *options,
                     struct listener *const *leaving, size_t count, struct listener **out,
                     struct err *err)
{
    struct listener *listener = calloc(1, sizeof *listener);
    char text[ENDPOINT_TEXT];

    endpoint_format(endpoint, text, sizeof text);
    if (!listener)
        return err_system(err, UV_ENOMEM, "cannot listen on '%s'", text);
    atomic_init(&listener->users, 1);
    listener->endpoint = *endpoint;
    listener->options = *options;
    listener->leaving = leaving;
    listener->leaving_count = count;
    if (open_any(listener, options, err) == 0) {
        listener->leaving_count = 0;
        *out = listener;
        return 0;
    }
    listener_release(listener);
    return err_prefix(err, "cannot listen on '%s'", text);
}

int listener_open(const struct endpoint *endpoint, const struct sock_options *options,
                  struct listener **out, struct err *err)
{
    return listener_replace(endpoint, options, NULL, 0, out, err);
}

const struct endpoint *listener_endpoint(const struct listener *listener)
{
    return &listener->endpoint;
}

bool listener_is_single(const struct listener *listener)
{
    return listener->single;
}

void listener_claim(struct listener *listener)
{
    if (!listener->claimed)
        sock_cover(&listener->endpoint);
    listener->claimed = true;
}

/* The one stream, if no session has it. */
static void close_only(struct listener *listener)
{
    if (!listener->single || atomic_load(&listener->taken))
        return;
    incoming_refuse(&listener->only);
    if (listener->endpoint.family == FAMILY_STDIO && !listener->claimed)
        sock_return_stdio();
}

static void close_listener(struct listener *listener)
{
    remove_path(listener);
    close_only(listener);
    for (int i = 0; i < listener->count; i++)
        close(listener->fds[i]);
    descriptors_release(listener->count);
    free(listener);
}

struct listener *listener_share(struct listener *listener)
{
    atomic_fetch_add(&listener->users, 1);
    return listener;
}

void listener_release(struct listener *listener)
{
    if (atomic_fetch_sub(&listener->users, 1) == 1)
        close_listener(listener);
}
