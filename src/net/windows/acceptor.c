#include "listener_os.h"

#include "net/address.h"
#include "op.h"

#include <stdlib.h>

enum {
    RETRY_DELAY = 100,  /* ms between tries after trouble */
    RENEW_EVERY = 2000, /* ms, as long as the answer of vms_find_recent lasts */
    LOST_AFTER = 64,    /* failed accepts in a row: the listening socket is beyond repair */
    ADDRESS_ROOM = sizeof(struct sockaddr_storage) + 16, /* as AcceptEx asks for it */
};

struct accept_op {
    struct op op;
    struct accept_slot *slot;
    enum family family;
    HANDLE handle; /* of the stream to be; NULL once it was given away */
    SOCKET listening;
    char addresses[2 * ADDRESS_ROOM];
};

/* Whoever has come on it already, as far as the system goes, is reset. */
static void discard(struct op *op)
{
    struct accept_op *accept = list_entry(op, struct accept_op, op);
    struct incoming unwanted = {.family = accept->family, .handle = accept->handle};

    if (accept->handle)
        incoming_refuse(&unwanted);
    op_free(op);
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

/* The system is out of something: no fault of the listening socket. */
static bool is_shortage(int status)
{
    return status == UV_EMFILE || status == UV_ENOBUFS || status == UV_ENOMEM;
}

/* An accept has failed without a shortage. One failure may be its client's own, and the network
 * is down while a VM restarts; if they go on, the listening socket is opened anew. */
static void count_failure(struct acceptor *acceptor)
{
    if (++acceptor->failures < LOST_AFTER)
        return;
    acceptor->failures = 0;
    listener_lose(acceptor->listener);
}

/* --- starting an accept --- */

static void on_arrived(struct op *op, DWORD error);

/* A client that came before ConnectNamedPipe is as good as one that comes after. */
static int start_pipe(struct accept_op *accept, struct listener *listener)
{
    DWORD error;
    int status = 0;

    accept->handle = InterlockedExchangePointer(&listener->first_pipe, NULL);
    if (!accept->handle)
        status = npipe_create(listener->endpoint.u.name, false, &accept->handle);
    if (status != 0) {
        accept->handle = NULL;
        return status;
    }
    if (ConnectNamedPipe(accept->handle, &accept->op.overlapped))
        return 0;
    error = GetLastError();
    if (error == ERROR_PIPE_CONNECTED) {
        accept->op.overlapped.Internal = 0; /* Windows has left it at "pending" */
        SetEvent(accept->op.overlapped.hEvent);
    }
    return error == ERROR_PIPE_CONNECTED || error == ERROR_IO_PENDING ? 0 : sock_error(error);
}

/* The listening socket itself has failed. */
static int fail_listener(struct acceptor *acceptor, DWORD error)
{
    int status = sock_error(error);

    if (status == UV_ENETDOWN)
        count_failure(acceptor);
    else if (!is_shortage(status))
        listener_lose(acceptor->listener);
    return status;
}

/* The accepting socket is made like the listening one, whose options it does not inherit. If it
 * can't be made, that says nothing about the listening one. */
static int start_accept_ex(struct accept_op *accept, struct listener *listener, SOCKET listening)
{
    struct acceptor *acceptor = accept->slot->acceptor;
    struct address address = {.family = listener->endpoint.family};
    SOCKET stream;
    DWORD bytes;
    int length = sizeof address.sa;
    int status;

    if (getsockname(listening, (struct sockaddr *)&address.sa, &length) != 0)
        return fail_listener(acceptor, (DWORD)WSAGetLastError());
    status = sock_create(&address, &listener->options, &stream);
    if (status != 0)
        return status;
    accept->handle = (HANDLE)stream;
    if (!listener->accept_ex(listening, stream, accept->addresses, 0, ADDRESS_ROOM, ADDRESS_ROOM,
                             &bytes, &accept->op.overlapped) &&
        WSAGetLastError() != WSA_IO_PENDING)
        return fail_listener(acceptor, (DWORD)WSAGetLastError());
    accept->listening = listening;
    return 0;
}

/* A listener that moves has no socket for a while: that is no trouble, its renewal goes on. */
static int start_socket(struct accept_op *accept, struct listener *listener, int way)
{
    int status = UV_EAGAIN;

    AcquireSRWLockShared(&listener->lock);
    if (listener->sockets[way] != INVALID_SOCKET)
        status = start_accept_ex(accept, listener, listener->sockets[way]);
    ReleaseSRWLockShared(&listener->lock);
    return status;
}

static int start(struct accept_slot *slot)
{
    struct listener *listener = slot->acceptor->listener;
    bool pipe = listener->endpoint.family == FAMILY_NPIPE;
    struct accept_op *accept = calloc(1, sizeof *accept);
    HANDLE on;
    int status;

    if (!accept)
        return UV_ENOMEM;
    status = op_init(&accept->op, slot->acceptor->loop, discard);
    if (status != 0) {
        free(accept);
        return status;
    }
    accept->slot = slot;
    accept->family = listener->endpoint.family;
    status = pipe ? start_pipe(accept, listener) : start_socket(accept, listener, slot->way);
    if (status != 0) {
        discard(&accept->op);
        return status;
    }
    on = pipe ? accept->handle : (HANDLE)accept->listening;
    status = op_await(&accept->op, on, !pipe, on_arrived);
    if (status == 0)
        slot->op = accept;
    return status;
}

/* --- what has arrived --- */

/* The socket learns that it is connected, and to whom. */
static int complete(struct accept_op *accept, struct peer *peer)
{
    struct address address = {.family = accept->family};
    SOCKET socket = (SOCKET)accept->handle;
    int length = sizeof address.sa;

    if (accept->family != FAMILY_NPIPE &&
        (setsockopt(socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&accept->listening,
                    sizeof accept->listening) != 0 ||
         getpeername(socket, (struct sockaddr *)&address.sa, &length) != 0))
        return -1;
    address_to_peer(&address, peer);
    if (accept->family == FAMILY_UNIX)
        peer->u.local.pid = sock_peer_process(socket);
    return 0;
}

/* False where the owner has no room for it. */
static bool hand_over(struct accept_slot *slot)
{
    struct acceptor *acceptor = slot->acceptor;
    struct accept_op *accept = slot->op;
    struct incoming incoming = {.family = accept->family, .handle = accept->handle};
    struct peer peer;

    if (!acceptor->owner->admit(acceptor))
        return false;
    slot->op = NULL;
    slot->arrived = false;
    if (complete(accept, &peer) != 0) {
        discard(&accept->op);
        acceptor->owner->retract(acceptor); /* it went away again */
        return true;
    }
    accept->handle = NULL;
    discard(&accept->op);
    acceptor->failures = 0;
    set_trouble(acceptor, 0);
    acceptor->owner->accepted(acceptor, &incoming, &peer);
    return true;
}

/* Hands over what has arrived and starts what is to be started; the owner may stop the acceptor
 * meanwhile. In turn: who comes on a slot that has just become free must not overtake the others
 * for ever. */
static void serve(struct acceptor *acceptor)
{
    for (int i = 0, first = acceptor->turn; i < acceptor->slots && acceptor->loop; i++) {
        int current = (first + i) % acceptor->slots;
        struct accept_slot *slot = &acceptor->slot[current];
        int status;

        if (slot->arrived) {
            acceptor->turn = current;
            if (!hand_over(slot))
                return;
            acceptor->turn = (current + 1) % acceptor->slots;
        }
        if (!acceptor->loop || slot->op)
            continue;
        status = start(slot);
        if (status == UV_EAGAIN)
            return;
        if (status != 0) {
            set_trouble(acceptor, status);
            return;
        }
    }
}

/* One error is the one client's that came and went: another accept takes the place. If every
 * pending accept has failed without a client in between, it is no client's: a pause keeps them
 * from spinning. */
static void on_arrived(struct op *op, DWORD error)
{
    struct accept_op *accept = list_entry(op, struct accept_op, op);
    struct accept_slot *slot = accept->slot;
    struct acceptor *acceptor = slot->acceptor;

    slot->arrived = error == 0;
    if (error != 0) {
        slot->op = NULL;
        discard(op);
        count_failure(acceptor);
    }
    if (acceptor->failures > acceptor->slots)
        set_trouble(acceptor, sock_error(error));
    else
        acceptor_resume(acceptor);
}

/* --- the one stream that standard input and output are --- */

static void serve_single(struct acceptor *acceptor)
{
    struct listener *listener = acceptor->listener;
    struct peer peer = {.family = (uint8_t)listener->endpoint.family};
    struct incoming incoming;
    struct err err;

    if (listener->taken || !acceptor->owner->admit(acceptor))
        return;
    if (InterlockedExchange(&listener->taken, 1) ||
        sock_take_single(&listener->endpoint, &incoming, &err) != 0) {
        acceptor->owner->retract(acceptor);
        return;
    }
    acceptor->owner->accepted(acceptor, &incoming, &peer);
}

/* --- the contract --- */

static void on_resume(struct task *task)
{
    struct acceptor *acceptor = list_entry(task, struct acceptor, resume);

    if (acceptor->listener->single)
        serve_single(acceptor);
    else
        serve(acceptor);
}

static void on_retry(struct timer *timer)
{
    acceptor_resume(list_entry(timer, struct acceptor, retry));
}

static void on_renew(struct timer *timer)
{
    struct acceptor *acceptor = list_entry(timer, struct acceptor, renew);

    listener_renew(acceptor->listener, acceptor->loop);
    acceptor_resume(acceptor);
    timer_set(&acceptor->loop->timers, timer, RENEW_EVERY);
}

void acceptor_start(struct acceptor *acceptor, struct loop *loop, struct listener *listener,
                    const struct acceptor_owner *owner)
{
    *acceptor = (struct acceptor){.owner = owner, .loop = loop, .listener = listener};
    timer_init(&acceptor->retry, on_retry);
    timer_init(&acceptor->renew, on_renew);
    task_init(&acceptor->resume, on_resume);
    acceptor->slots = listener_ways(listener) * ACCEPTS_PENDING;
    for (int i = 0; i < acceptor->slots; i++)
        acceptor->slot[i] = (struct accept_slot){.acceptor = acceptor, .way = i / ACCEPTS_PENDING};
    if (listener_moves(listener))
        timer_set(&loop->timers, &acceptor->renew, RENEW_EVERY);
    acceptor_resume(acceptor);
}

void acceptor_resume(struct acceptor *acceptor)
{
    if (acceptor->loop)
        loop_defer(acceptor->loop, &acceptor->resume);
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (!acceptor->loop)
        return;
    timer_clear(&acceptor->loop->timers, &acceptor->retry);
    timer_clear(&acceptor->loop->timers, &acceptor->renew);
    task_cancel(&acceptor->resume);
    for (int i = 0; i < acceptor->slots; i++) {
        struct accept_slot *slot = &acceptor->slot[i];

        if (slot->op && slot->arrived)
            discard(&slot->op->op);
        else if (slot->op)
            op_abandon(&slot->op->op);
        slot->op = NULL;
    }
    acceptor->loop = NULL;
}
