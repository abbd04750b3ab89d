#include "../check.h"
#include "../clock.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ws2tcpip.h>

/* Reads and writes are overlapped, of sockets too: Wine tells whoever polls a socket of a reset and
 * then forgets it. So a peer reads ahead from its beginning, and what it sends is on its way when
 * peer_send returns. */
enum { CHUNK = 64 * 1024, EVENTS_MAX = 60, GRACE_MS = 200 };

struct transfer {
    OVERLAPPED overlapped; /* with an event of its own */
    bool pending;
    DWORD length; /* how many bytes it has moved, once it is done */
    char bytes[CHUNK];
};

struct peer {
    struct peer *next, **link; /* in the list of all peers */
    HANDLE file;
    bool is_socket;
    bool ending, closing; /* once what was sent is on its way */
    bool broken;          /* a write has failed */
    long end;             /* PEER_EOF or PEER_RESET, after what was read */
    DWORD taken;          /* of what was read */
    DWORD sent, to_send;  /* of the write's bytes */
    DWORD urgent;         /* MSG_OOB where the last of them is */
    struct transfer read, write;
};

static struct peer *all;
static char why[128];
static bool timed_out;

void fail_with(const char *what, unsigned long error)
{
    fail_msg("%s: error %lu", what, error);
}

struct sockaddr_in loopback(unsigned short port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

const char *pipe_path(const char *endpoint)
{
    static char path[ENDPOINT_MAX + 16];
    if (strncmp(endpoint, "npipe:", 6) != 0)
        return NULL;
    snprintf(path, sizeof path, "\\\\.\\pipe\\%s", endpoint + 6);
    return path;
}

static bool can_read(struct peer *peer);
static bool can_write(struct peer *peer);

static struct peer *new_peer(HANDLE file, bool is_socket)
{
    struct peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->file = file;
    peer->is_socket = is_socket;
    peer->read.overlapped.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
    peer->write.overlapped.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
    peer->next = all;
    peer->link = &all;
    if (all != NULL)
        all->link = &peer->next;
    all = peer;
    return peer;
}

struct peer *peer_of_socket(SOCKET s)
{
    u_long blocking = 0;
    BOOL on = TRUE;
    struct peer *peer = new_peer((HANDLE)s, true);
    ioctlsocket(s, (long)FIONBIO, &blocking);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
    can_read(peer);
    return peer;
}

struct peer *peer_of_pipe(HANDLE pipe)
{
    DWORD type, mode = PIPE_READMODE_MESSAGE;
    if (GetNamedPipeInfo(pipe, &type, NULL, NULL, NULL) && type & PIPE_TYPE_MESSAGE)
        SetNamedPipeHandleState(pipe, &mode, NULL, NULL);
    return new_peer(pipe, false);
}

/* ---- connecting ---- */

/* 0 or a WSA error. select() tells of a failure where WSAPoll of older Windows does not. */
static int connect_within(SOCKET s, const struct sockaddr_in *address, uint64_t timeout_ms)
{
    struct timeval wait = {(long)(timeout_ms / 1000), (long)(timeout_ms % 1000 * 1000)};
    u_long on = 1;
    fd_set connected, failed;
    int error = 0, len = sizeof error;

    ioctlsocket(s, (long)FIONBIO, &on);
    if (connect(s, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    if (WSAGetLastError() != WSAEWOULDBLOCK)
        return WSAGetLastError();
    FD_ZERO(&connected);
    FD_ZERO(&failed);
    FD_SET(s, &connected);
    FD_SET(s, &failed);
    if (select(0, NULL, &connected, &failed, &wait) == 0)
        return WSAETIMEDOUT;
    getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &len);
    return error;
}

static struct peer *no_peer(unsigned long error)
{
    timed_out = error == WSAETIMEDOUT || error == ERROR_PIPE_BUSY;
    snprintf(why, sizeof why, "error %lu", error);
    return NULL;
}

static struct peer *connect_socket(unsigned short port, uint64_t timeout_ms)
{
    struct sockaddr_in address = loopback(port);
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
    int error = connect_within(s, &address, timeout_ms);
    if (error == 0)
        return peer_of_socket(s);
    if (error == WSAECONNRESET) { /* it was connected, and has been reset since */
        struct peer *peer = peer_of_socket(s);
        peer->end = PEER_RESET;
        peer->broken = true;
        return peer;
    }
    closesocket(s);
    return no_peer((unsigned long)error);
}

/* Every instance may be taken for a moment. */
static struct peer *connect_pipe(const char *path, uint64_t timeout_ms)
{
    uint64_t deadline = clock_ms() + timeout_ms;
    for (;;) {
        HANDLE pipe = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                                  FILE_FLAG_OVERLAPPED, NULL);
        if (pipe != INVALID_HANDLE_VALUE)
            return peer_of_pipe(pipe);
        if (GetLastError() != ERROR_PIPE_BUSY || clock_left_ms(deadline) == 0)
            return no_peer(GetLastError());
        clock_pause(1);
    }
}

struct peer *peer_connect(const char *endpoint, uint64_t timeout_ms)
{
    if (pipe_path(endpoint) != NULL)
        return connect_pipe(pipe_path(endpoint), timeout_ms);
    if (strncmp(endpoint, "tcp:127.0.0.1:", 14) != 0)
        fail_msg("the tests cannot connect to '%s'", endpoint);
    return connect_socket((unsigned short)atoi(endpoint + 14), timeout_ms);
}

const char *peer_error(void)
{
    return why;
}

bool peer_timed_out(void)
{
    return timed_out;
}

/* ---- transfers ---- */

/* True when it is not under way; `error` is how it ended, if it has just done so. */
static bool is_done(struct peer *peer, struct transfer *transfer, DWORD *error)
{
    *error = 0;
    if (!transfer->pending)
        return true;
    if (!GetOverlappedResult(peer->file, &transfer->overlapped, &transfer->length, FALSE)) {
        *error = GetLastError();
        if (*error == ERROR_IO_INCOMPLETE)
            return false;
        if (*error == ERROR_MORE_DATA) /* the rest of the message comes with the next read */
            *error = 0;
    }
    transfer->pending = false;
    return true;
}

/* Start a transfer; false where it has failed at once. */
static bool start_read(struct peer *peer)
{
    WSABUF buffer = {CHUNK, peer->read.bytes};
    DWORD flags = 0;
    if (peer->is_socket)
        return WSARecv((SOCKET)peer->file, &buffer, 1, NULL, &flags, &peer->read.overlapped,
                       NULL) == 0 ||
               WSAGetLastError() == WSA_IO_PENDING;
    return ReadFile(peer->file, peer->read.bytes, CHUNK, NULL, &peer->read.overlapped) ||
           GetLastError() == ERROR_IO_PENDING || GetLastError() == ERROR_MORE_DATA;
}

static bool start_write(struct peer *peer)
{
    char *from = peer->write.bytes + peer->sent;
    WSABUF buffer = {peer->to_send - peer->sent, from};
    if (peer->is_socket)
        return WSASend((SOCKET)peer->file, &buffer, 1, NULL, peer->urgent, &peer->write.overlapped,
                       NULL) == 0 ||
               WSAGetLastError() == WSA_IO_PENDING;
    return WriteFile(peer->file, from, buffer.len, NULL, &peer->write.overlapped) ||
           GetLastError() == ERROR_IO_PENDING;
}

/* Wine 8 tells of a reset by an end of file where there was something to read when it came. */
static bool is_reset(const struct peer *peer)
{
    WSAPOLLFD poll = {.fd = (SOCKET)peer->file};
    return WSAPoll(&poll, 1, 0) == 1 && poll.revents & POLLERR;
}

/* A pipe knows no reset: however it breaks, it has ended. A socket's reset is told once: where a
 * write is under way it may be that which learns of it, a little later than the read. */
static void end_reading(struct peer *peer, DWORD error)
{
    if (peer->is_socket && peer->write.pending) {
        WaitForSingleObject(peer->write.overlapped.hEvent, GRACE_MS);
        can_write(peer);
    }
    peer->end = PEER_EOF;
    if (peer->is_socket && (error != 0 || peer->broken || is_reset(peer)))
        peer->end = PEER_RESET;
}

/* Is there something to read, or the end? Reads ahead where not. */
static bool can_read(struct peer *peer)
{
    DWORD error;
    bool was_pending = peer->read.pending;

    if (!is_done(peer, &peer->read, &error))
        return false;
    if (was_pending && (error != 0 || peer->read.length == 0))
        end_reading(peer, error);
    if (peer->end != 0 || peer->taken < peer->read.length)
        return true;
    peer->taken = peer->read.length = 0;
    peer->read.pending = start_read(peer);
    if (!peer->read.pending)
        end_reading(peer, GetLastError());
    return peer->end != 0 || (HasOverlappedIoCompleted(&peer->read.overlapped) && can_read(peer));
}

/* A write that a reset has cut short is a success under Wine: going on with it shows. */
static void go_on_writing(struct peer *peer, DWORD error)
{
    peer->sent += error == 0 ? peer->write.length : 0;
    if (error == 0 && peer->sent < peer->to_send)
        peer->write.pending = start_write(peer);
    peer->broken |= error != 0 || (peer->sent < peer->to_send && !peer->write.pending);
}

/* Of a pipe of messages an empty one is the end. */
static void send_end(struct peer *peer)
{
    if (peer->is_socket) {
        shutdown((SOCKET)peer->file, SD_SEND);
        return;
    }
    peer->sent = peer->to_send = 0;
    peer->write.pending = start_write(peer);
}

static bool can_write(struct peer *peer)
{
    DWORD error;
    while (peer->write.pending) {
        if (!is_done(peer, &peer->write, &error))
            return false;
        go_on_writing(peer, error);
    }
    if (peer->ending)
        send_end(peer);
    peer->ending = false;
    return true;
}

long peer_recv(struct peer *peer, void *buf, size_t len)
{
    if (!can_read(peer))
        return PEER_LATER;
    DWORD ready = peer->read.length - peer->taken;
    if (peer->end != 0)
        return peer->end;
    if (len > ready)
        len = ready;
    memcpy(buf, peer->read.bytes + peer->taken, len);
    peer->taken += (DWORD)len;
    return (long)len;
}

static long send_with(struct peer *peer, const void *buf, size_t len, DWORD urgent)
{
    if (!can_write(peer))
        return PEER_LATER;
    if (peer->broken)
        return PEER_RESET;
    if (len > CHUNK)
        len = CHUNK;
    memcpy(peer->write.bytes, buf, len);
    peer->sent = 0;
    peer->to_send = (DWORD)len;
    peer->urgent = urgent;
    peer->write.pending = start_write(peer);
    peer->broken = !peer->write.pending;
    return peer->broken || (can_write(peer) && peer->broken) ? PEER_RESET : (long)len;
}

long peer_send(struct peer *peer, const void *buf, size_t len)
{
    return send_with(peer, buf, len, 0);
}

long peer_send_urgent(struct peer *peer, const void *buf, size_t len)
{
    return send_with(peer, buf, len, MSG_OOB);
}

/* ---- ends ---- */

void peer_end_sending(struct peer *peer)
{
    DWORD type;
    if (!peer->is_socket &&
        (!GetNamedPipeInfo(peer->file, &type, NULL, NULL, NULL) || !(type & PIPE_TYPE_MESSAGE)))
        fail_msg("a pipe of bytes has no half-close: no case may ask for one");
    peer->ending = true;
    can_write(peer);
}

static void cancel(struct peer *peer, struct transfer *transfer)
{
    DWORD unused;
    if (transfer->pending && CancelIoEx(peer->file, &transfer->overlapped))
        GetOverlappedResult(peer->file, &transfer->overlapped, &unused, TRUE);
    CloseHandle(transfer->overlapped.hEvent);
}

static void free_peer(struct peer *peer)
{
    *peer->link = peer->next;
    if (peer->next != NULL)
        peer->next->link = peer->link;
    cancel(peer, &peer->read);
    cancel(peer, &peer->write);
    if (peer->is_socket)
        closesocket((SOCKET)peer->file);
    else
        CloseHandle(peer->file);
    free(peer);
}

void peer_abort(struct peer *peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (peer->is_socket)
        setsockopt((SOCKET)peer->file, SOL_SOCKET, SO_LINGER, (const char *)&now, sizeof now);
    free_peer(peer);
}

/* What was sent is still on its way: then it is closed later, from peers_wait. */
void peer_close(struct peer *peer)
{
    if (peer == NULL)
        return;
    if (can_write(peer))
        free_peer(peer);
    else
        peer->closing = true;
}

void peers_close_all(void)
{
    while (all != NULL)
        peer_abort(all);
}

static void close_what_is_done(void)
{
    for (struct peer *peer = all, *next; peer != NULL; peer = next) {
        next = peer->next;
        if (peer->closing || peer->ending)
            can_write(peer);
        if (peer->closing && !peer->write.pending)
            free_peer(peer);
    }
}

/* ---- waiting ---- */

/* Looks at all; gathers the events of those that can't, as many as Windows can wait for. */
static size_t look(struct peer_want *wants, size_t n, HANDLE *events, DWORD *count)
{
    size_t can = 0;
    for (size_t i = 0; i < n; i++) {
        struct peer_want *want = &wants[i];
        want->can_read = want->read && can_read(want->peer);
        want->can_write = want->write && can_write(want->peer);
        can += want->can_read || want->can_write;
        if (want->read && *count < EVENTS_MAX)
            events[(*count)++] = want->peer->read.overlapped.hEvent;
        if (want->write && *count < EVENTS_MAX)
            events[(*count)++] = want->peer->write.overlapped.hEvent;
    }
    return can;
}

/* Among more than that the others are looked at every millisecond. */
size_t peers_wait(struct peer_want *wants, size_t n, uint64_t timeout_ms)
{
    uint64_t deadline = clock_ms() + timeout_ms;
    for (;;) {
        HANDLE events[EVENTS_MAX + 1];
        DWORD count = 0;
        close_what_is_done();
        size_t can = look(wants, n, events, &count);
        if (can > 0 || clock_left_ms(deadline) == 0)
            return can;
        if (count > 0)
            WaitForMultipleObjects(count, events, FALSE, 1);
        else
            clock_pause(1);
    }
}
