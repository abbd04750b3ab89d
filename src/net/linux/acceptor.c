#include "listener_os.h"

#include "net/address.h"
#include "sock_os.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    ACCEPT_BATCH = 64, /* per socket and turn: then the sessions get their turn */
    RETRY_DELAY = 100, /* ms between tries while the system is out of something */
};

/* Every loop waits on the same sockets; one of them is woken for a stream (EPOLLEXCLUSIVE). */
static int watch_all(struct acceptor *acceptor)
{
    struct listener *listener = acceptor->listener;
    int status = 0;

    for (int i = 0; i < listener->count && status == 0; i++)
        status = loop_watch(acceptor->loop, listener->fds[i], EPOLLIN | EPOLLEXCLUSIVE,
                            &acceptor->watch);
    acceptor->watching = true;
    return status;
}

static void unwatch_all(struct acceptor *acceptor)
{
    if (!acceptor->watching)
        return;
    for (int i = 0; i < acceptor->listener->count; i++)
        loop_unwatch(acceptor->loop, acceptor->listener->fds[i], &acceptor->watch);
    acceptor->watching = false;
}

static void set_trouble(struct acceptor *acceptor, int code)
{
    bool troubled = code != 0;

    if (troubled)
        timer_set(&acceptor->loop->timers, &acceptor->retry, RETRY_DELAY);
    if (troubled == acceptor->troubled)
        return;
    acceptor->troubled = troubled;
    acceptor->owner->trouble(acceptor, code);
}

/* Errors of the one stream that failed on its way in, not of the socket: accept(2). */
static bool is_peers_error(int error)
{
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == ENETDOWN ||
           error == ENOPROTOOPT || error == EHOSTDOWN || error == EHOSTUNREACH ||
           error == ENETUNREACH || error == EOPNOTSUPP || error == EPERM;
}

/* Accepts one stream. False where this socket has no more for now. */
static bool accept_one(struct acceptor *acceptor, int fd, enum family family)
{
    struct address address = {.length = sizeof address.sa, .family = family};
    struct incoming incoming = {.family = address.family};
    struct peer peer;

    if (!acceptor->owner->admit(acceptor)) {
        unwatch_all(acceptor);
        return false;
    }
    incoming.rfd =
        accept4(fd, (struct sockaddr *)&address.sa, &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (incoming.rfd < 0) {
        int error = errno;

        acceptor->owner->retract(acceptor);
        if (is_peers_error(error))
            return true;
        if (error != EAGAIN && error != EWOULDBLOCK) {
            unwatch_all(acceptor);
            set_trouble(acceptor, uv_translate_sys_error(error));
        }
        return false;
    }
    incoming.wfd = incoming.rfd;
    set_trouble(acceptor, 0);
    address_to_peer(&address, &peer);
    sock_credentials(incoming.rfd, &peer);
    acceptor->owner->accepted(acceptor, &incoming, &peer);
    return true;
}

static void accept_all(struct acceptor *acceptor)
{
    const struct listener *listener = acceptor->listener;

    for (int i = 0; i < listener->count; i++) {
        int budget = ACCEPT_BATCH;

        while (budget-- > 0 && acceptor->watching &&
               accept_one(acceptor, listener->fds[i], listener->families[i]))
            ;
    }
}

/* The one stream that standard input and output, or a descriptor, are. */
static void accept_single(struct acceptor *acceptor)
{
    const struct incoming *only = &acceptor->listener->only;
    struct peer peer = {.family = (uint8_t)only->family};

    if (atomic_load(&acceptor->listener->taken) || !acceptor->owner->admit(acceptor))
        return;
    if (atomic_exchange(&acceptor->listener->taken, true)) {
        acceptor->owner->retract(acceptor);
        return;
    }
    if (only->family != FAMILY_STDIO)
        sock_peer(only, &peer);
    acceptor->owner->accepted(acceptor, only, &peer);
}

static void on_event(struct watch *watch, uint32_t events)
{
    (void)events;
    accept_all(list_entry(watch, struct acceptor, watch));
}

static void on_resume(struct task *task)
{
    struct acceptor *acceptor = list_entry(task, struct acceptor, resume);
    int status;

    if (acceptor->listener->single) {
        accept_single(acceptor);
        return;
    }
    status = acceptor->watching ? 0 : watch_all(acceptor);
    if (status != 0) {
        unwatch_all(acceptor);
        set_trouble(acceptor, status);
    }
}

static void on_retry(struct timer *timer)
{
    acceptor_resume(list_entry(timer, struct acceptor, retry));
}

void acceptor_start(struct acceptor *acceptor, struct loop *loop, struct listener *listener,
                    const struct acceptor_owner *owner)
{
    *acceptor = (struct acceptor){.owner = owner, .loop = loop, .listener = listener};
    acceptor->watch.event = on_event;
    timer_init(&acceptor->retry, on_retry);
    task_init(&acceptor->resume, on_resume);
    acceptor_resume(acceptor);
}

void acceptor_resume(struct acceptor *acceptor)
{
    loop_defer(acceptor->loop, &acceptor->resume);
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (!acceptor->loop)
        return;
    unwatch_all(acceptor);
    timer_clear(&acceptor->loop->timers, &acceptor->retry);
    task_cancel(&acceptor->resume);
    acceptor->loop = NULL;
}
