#include "listener_os.h"

#include "base/log.h"
#include "net/resolve.h"

#include <stdlib.h>
#include <string.h>

static int last_error(void)
{
    return sock_error((DWORD)WSAGetLastError());
}

static void set_flag(SOCKET socket, int level, int name, DWORD value)
{
    setsockopt(socket, level, name, (const char *)&value, sizeof value);
}

static int bind_socket(struct listener *listener, SOCKET socket, const struct address *address,
                       struct err *err)
{
    bool all = strcmp(listener->endpoint.u.tcp.host, "*") == 0;

    if (address->family == FAMILY_TCP) /* Windows lets others steal the port otherwise */
        set_flag(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    if (address->sa.ss_family == AF_INET6)
        set_flag(socket, IPPROTO_IPV6, IPV6_V6ONLY, !all);
    if (bind(socket, (const struct sockaddr *)&address->sa, (int)address->length) != 0)
        return err_system(err, last_error(), "cannot bind");
    return 0;
}

/* Who may connect is up to the file's permissions, which it has from its folder. */
static int check_access(const struct sock_options *options, struct err *err)
{
    if (!options->socket_owner[0] && options->socket_mode == 0600)
        return 0;
    return err_set(err, UV_ENOTSUP,
                   "a socket has no mode and no owner on Windows: leave 'socket_mode' and "
                   "'socket_owner' away, and set the permissions of its folder");
}

static int bind_unix(struct listener *listener, SOCKET socket, const struct address *address,
                     struct err *err)
{
    const struct sockaddr *sa = (const struct sockaddr *)&address->sa;
    const char *path = listener->endpoint.u.local.path;
    int length = (int)address->length;
    int status;

    if (check_access(&listener->options, err) != 0)
        return -1;
    status = bind(socket, sa, length) == 0 ? 0 : last_error();
    if (status == UV_EADDRINUSE && socket_file_remove_stale(address))
        status = bind(socket, sa, length) == 0 ? 0 : last_error();
    if (status == UV_EADDRINUSE && socket_file_is_other(path))
        return err_set(err, UV_EEXIST, "there is a file of that name, which is no socket");
    if (status != 0)
        return err_system(err, status, "cannot bind");
    socket_file_remember(&listener->file, path);
    return 0;
}

/* Opens one socket and adds it to the listener. */
static int add_socket(struct listener *listener, const struct address *address, struct err *err)
{
    SOCKET socket;
    const char *advice;
    int status = sock_create(address, &listener->options, &socket);

    if (status != 0) {
        err_system(err, status, "cannot create a socket");
    } else {
        listener->sockets[listener->count++] = socket;
        status = address->family == FAMILY_UNIX ? bind_unix(listener, socket, address, err)
                                                : bind_socket(listener, socket, address, err);
        if (status == 0) {
            status = listen(socket, (int)listener->options.backlog) == 0 ? 0 : last_error();
            if (status == 0)
                status = sock_accept_ex(socket, &listener->accept_ex);
            if (status == 0)
                return 0;
            err_system(err, status, "cannot listen");
        }
    }
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
static void learn_port(struct listener *listener)
{
    struct address bound;
    int length = sizeof bound.sa;

    if (getsockname(listener->sockets[0], (struct sockaddr *)&bound.sa, &length) == 0)
        listener->endpoint.u.tcp.port = ntohs(*port_of(&bound));
}

/* Name services know addresses that this machine does not have, and of a family that is off. */
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
 * for both IP versions, or for IPv4 where the system has no IPv6. */
static int open_tcp(struct listener *listener, struct err *err)
{
    struct address addresses[LISTENER_SOCKETS];
    bool all = strcmp(listener->endpoint.u.tcp.host, "*") == 0;
    int count = resolve_now(&listener->endpoint, addresses, LISTENER_SOCKETS, err);

    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        int opened = listener->count; /* a failed one may have a socket, or none */

        *port_of(&addresses[i]) = htons(listener->endpoint.u.tcp.port);
        if (add_socket(listener, &addresses[i], err) == 0) {
            learn_port(listener);
            if (all)
                return 0;
        } else if (!is_lacking(err->code) && (!all || i == count - 1)) {
            return -1;
        } else {
            if (!all && count > 1)
                warn_lacking(listener->endpoint.u.tcp.host, &addresses[i], err);
            if (listener->count > opened)
                closesocket(listener->sockets[--listener->count]);
        }
    }
    return listener->count > 0 ? 0 : -1;
}

static int open_unix(struct listener *listener, struct err *err)
{
    struct address address;

    if (address_from_endpoint(&listener->endpoint, &address, err) != 0)
        return -1;
    return add_socket(listener, &address, err);
}

static int open_pipe(struct listener *listener, struct err *err)
{
    int status = npipe_create(listener->endpoint.u.name, true, &listener->first_pipe);
    const char *advice = address_listen_advice(FAMILY_NPIPE, status);

    if (status == 0)
        return 0;
    listener->first_pipe = NULL;
    err_system(err, status, "cannot create the pipe");
    return advice ? err_hint(err, advice) : -1;
}

/* --- Hyper-V --- */

enum { FIRST_PAUSE = 1000, LONGEST_PAUSE = 8000 }; /* ms between attempts to open it anew */

static bool is_same(const struct address *a, const struct address *b)
{
    return a->length == b->length && memcmp(&a->sa, &b->sa, a->length) == 0;
}

/* Under the lock. */
static void close_socket(struct listener *listener)
{
    for (int i = 0; i < listener->count; i++)
        closesocket(listener->sockets[i]);
    listener->count = 0;
    listener->sockets[0] = INVALID_SOCKET;
}

/* Under the lock. The old socket goes first: the new one may need its address. */
static int replace_socket(struct listener *listener, const struct address *address, struct err *err)
{
    close_socket(listener);
    listener->bound = *address;
    if (add_socket(listener, address, err) == 0)
        return 0;
    close_socket(listener);
    return -1;
}

/* Replaces the socket if it is lost or its address has changed. Returns 0, also if there was
 * nothing to do (*replaced stays false), or -1. */
static int renew_socket(struct listener *listener, bool *replaced, struct err *err)
{
    struct address address;
    int status = 0;

    /* No such VM for now: what there is may still be right. */
    if (address_from_endpoint(&listener->endpoint, &address, err) != 0)
        return listener->lost ? -1 : 0;
    AcquireSRWLockExclusive(&listener->lock);
    if (listener->lost || !is_same(&address, &listener->bound)) {
        listener->lost = 0; /* before it is open: accepts on the new one may find it lost, too */
        status = replace_socket(listener, &address, err);
        *replaced = status == 0;
        if (status != 0)
            listener->lost = 1;
    }
    ReleaseSRWLockExclusive(&listener->lock);
    return status;
}

/* Each reason is logged once: the attempts go on for as long as the VM is away. */
static void fail_renewal(struct listener *listener, const char *text, const struct err *err)
{
    if (listener->failure != err->code)
        log_warning("cannot listen anew on '%s', trying again: %s", text, err->msg);
    listener->failure = err->code;
    listener->not_before = GetTickCount64() + listener->pause;
    listener->pause = listener->pause < LONGEST_PAUSE / 2 ? 2 * listener->pause : LONGEST_PAUSE;
}

static void renew(struct listener *listener)
{
    char text[ENDPOINT_TEXT];
    struct err err;
    bool replaced = false;

    endpoint_format(&listener->endpoint, text, sizeof text);
    if (renew_socket(listener, &replaced, &err) != 0) {
        fail_renewal(listener, text, &err);
        return;
    }
    listener->failure = 0;
    listener->pause = FIRST_PAUSE;
    if (replaced)
        log_info("listening anew on '%s'", text);
}

static int open_hyperv(struct listener *listener, struct err *err)
{
    struct address address;

    listener->sockets[0] = INVALID_SOCKET;
    listener->pause = FIRST_PAUSE;
    if (address_from_endpoint(&listener->endpoint, &address, err) != 0)
        return -1;
    return replace_socket(listener, &address, err);
}

struct renewal {
    uv_work_t work;
    struct listener *listener;
};

static void on_renewal(uv_work_t *work)
{
    renew(list_entry(work, struct renewal, work)->listener);
}

static void on_renewed(uv_work_t *work, int status)
{
    struct renewal *renewal = list_entry(work, struct renewal, work);

    (void)status;
    InterlockedExchange(&renewal->listener->renewing, 0);
    listener_release(renewal->listener);
    free(renewal);
}

bool listener_moves(const struct listener *listener)
{
    return listener->endpoint.family == FAMILY_HYPERV;
}

void listener_lose(struct listener *listener)
{
    InterlockedExchange(&listener->lost, 1);
}

void listener_renew(struct listener *listener, struct loop *loop)
{
    struct renewal *renewal;

    if (!listener->lost && !address_needs_lookup(&listener->endpoint))
        return;
    if (InterlockedExchange(&listener->renewing, 1))
        return;
    if (GetTickCount64() < listener->not_before) {
        InterlockedExchange(&listener->renewing, 0);
        return;
    }
    renewal = malloc(sizeof *renewal);
    if (!renewal) {
        InterlockedExchange(&listener->renewing, 0);
        return;
    }
    renewal->listener = listener_share(listener);
    if (uv_queue_work(&loop->uv, &renewal->work, on_renewal, on_renewed) != 0)
        on_renewed(&renewal->work, UV_ECANCELED);
}

/* --- all --- */

static int open_any(struct listener *listener, struct err *err)
{
    struct address unused;

    switch (listener->endpoint.family) {
    case FAMILY_TCP:
        return open_tcp(listener, err);
    case FAMILY_UNIX:
        return open_unix(listener, err);
    case FAMILY_NPIPE:
        return open_pipe(listener, err);
    case FAMILY_HYPERV:
        return open_hyperv(listener, err);
    case FAMILY_STDIO:
        listener->single = true;
        return sock_check_standard(err);
    default:
        return address_from_endpoint(&listener->endpoint, &unused, err);
    }
}

int listener_open(const struct endpoint *endpoint, const struct sock_options *options,
                  struct listener **out, struct err *err)
{
    struct listener *listener = calloc(1, sizeof *listener);
    char text[ENDPOINT_TEXT];

    endpoint_format(endpoint, text, sizeof text);
    if (!listener)
        return err_system(err, UV_ENOMEM, "cannot listen on '%s'", text);
    listener->endpoint = *endpoint;
    listener->options = *options;
    listener->references = 1;
    InitializeSRWLock(&listener->lock);
    if (open_any(listener, err) == 0) {
        *out = listener;
        return 0;
    }
    listener_release(listener);
    return err_prefix(err, "cannot listen on '%s'", text);
}

/* Windows has no way to bind an address that overlaps one that listens: it is in use. */
int listener_replace(const struct endpoint *endpoint, const struct sock_options *options,
                     struct listener *const *leaving, size_t count, struct listener **out,
                     struct err *err)
{
    (void)leaving;
    (void)count;
    return listener_open(endpoint, options, out, err);
}

const struct endpoint *listener_endpoint(const struct listener *listener)
{
    return &listener->endpoint;
}

int listener_ways(const struct listener *listener)
{
    return listener->endpoint.family == FAMILY_TCP ? listener->count : 1;
}

bool listener_is_intact(const struct listener *listener)
{
    return socket_file_is_there(&listener->file, listener->endpoint.u.local.path);
}

static void set_options(struct listener *listener, const struct sock_options *options)
{
    AcquireSRWLockExclusive(&listener->lock);
    listener->options = *options;
    ReleaseSRWLockExclusive(&listener->lock);
}

/* Accepted sockets get the new options, and so does a socket that is opened anew. The backlog of
 * one that listens already cannot be changed, and it has no mode or owner. */
int listener_adjust(struct listener *listener, const struct sock_options *options, struct err *err)
{
    if (listener->endpoint.family == FAMILY_UNIX && check_access(options, err) != 0)
        return -1;
    listener->options_before = listener->options;
    set_options(listener, options);
    return 0;
}

void listener_undo(struct listener *listener)
{
    set_options(listener, &listener->options_before);
}

struct listener *listener_share(struct listener *listener)
{
    InterlockedIncrement(&listener->references);
    return listener;
}

void listener_release(struct listener *listener)
{
    if (InterlockedDecrement(&listener->references) > 0)
        return;
    if (listener->first_pipe)
        CloseHandle(listener->first_pipe);
    socket_file_remove(&listener->file, listener->endpoint.u.local.path);
    for (int i = 0; i < listener->count; i++)
        closesocket(listener->sockets[i]);
    free(listener);
}

void listener_claim(struct listener *listener)
{
    (void)listener; /* nothing is taken before there is a session */
}

bool listener_is_single(const struct listener *listener)
{
    return family_is_single(listener->endpoint.family);
}
