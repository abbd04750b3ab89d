#include "../check.h"
#include "../clock.h"
#include "stream.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INSTANCES = 16, /* of a pipe that wait for a client */
    FILLERS = 512,  /* connections that fill a backlog at most: Windows rounds it up */
};

struct instance {
    OVERLAPPED waiting;
    HANDLE pipe;
};

struct listener {
    char endpoint[ENDPOINT_MAX];
    SOCKET socket; /* INVALID_SOCKET: a pipe */
    SOCKET fillers[FILLERS];
    size_t filler_count;
    DWORD pipe_type; /* PIPE_TYPE_MESSAGE or PIPE_TYPE_BYTE */
    struct instance instances[INSTANCES];
    size_t instance_count;
    HANDLE filler; /* takes the only instance of a silent pipe */
};

/* ---- tcp ---- */

/* Connects until nobody answers any more. */
static void fill_backlog(struct listener *listener, const struct sockaddr_in *address)
{
    while (listener->filler_count < FILLERS) {
        SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
        u_long on = 1;
        struct timeval wait = {0, 100000};
        fd_set connected;

        listener->fillers[listener->filler_count++] = s;
        ioctlsocket(s, (long)FIONBIO, &on);
        connect(s, (const struct sockaddr *)address, sizeof *address);
        FD_ZERO(&connected);
        FD_SET(s, &connected);
        if (select(0, NULL, &connected, NULL, &wait) != 1)
            return;
    }
    fail_msg("the backlog of '%s' does not fill up", listener->endpoint);
}

static void open_socket(struct listener *listener, enum listener_kind kind)
{
    struct sockaddr_in address = loopback(0);
    int len = sizeof address;

    listener->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (listener->socket == INVALID_SOCKET ||
        bind(listener->socket, (const struct sockaddr *)&address, len) != 0 ||
        getsockname(listener->socket, (struct sockaddr *)&address, &len) != 0)
        fail_with("cannot bind a target", (unsigned long)WSAGetLastError());
    snprintf(listener->endpoint, ENDPOINT_MAX, "tcp:127.0.0.1:%u", ntohs(address.sin_port));
    if (kind == LISTENER_REFUSING)
        return;
    if (listen(listener->socket, kind == LISTENER_SILENT ? 0 : 1024) != 0)
        fail_with("cannot listen", (unsigned long)WSAGetLastError());
    if (kind == LISTENER_SILENT)
        fill_backlog(listener, &address);
}

static struct peer *accept_socket(struct listener *listener, uint64_t timeout_ms)
{
    WSAPOLLFD poll = {.fd = listener->socket, .events = POLLIN};
    if (WSAPoll(&poll, 1, (int)timeout_ms) <= 0)
        return NULL;
    SOCKET s = accept(listener->socket, NULL, NULL);
    if (s == INVALID_SOCKET)
        fail_with("accept", (unsigned long)WSAGetLastError());
    return peer_of_socket(s);
}

/* ---- named pipes ---- */

static void open_instance(struct listener *listener, struct instance *instance)
{
    instance->pipe =
        CreateNamedPipeA(pipe_path(listener->endpoint), PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                         listener->pipe_type | PIPE_REJECT_REMOTE_CLIENTS, PIPE_UNLIMITED_INSTANCES,
                         64 * 1024, 64 * 1024, 0, NULL);
    if (instance->pipe == INVALID_HANDLE_VALUE)
        fail_with("cannot make a pipe", GetLastError());
    instance->waiting = (OVERLAPPED){.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
    if (ConnectNamedPipe(instance->pipe, &instance->waiting) ||
        GetLastError() == ERROR_PIPE_CONNECTED)
        SetEvent(instance->waiting.hEvent);
    else if (GetLastError() != ERROR_IO_PENDING)
        fail_with("cannot wait for a client", GetLastError());
}

/* A pipe that refuses is none at all. One that is silent has its only instance taken. */
static void open_pipe(struct listener *listener, enum listener_kind kind)
{
    static unsigned number;
    size_t count = kind == LISTENER_ACCEPTING ? INSTANCES : kind == LISTENER_SILENT ? 1 : 0;

    snprintf(listener->endpoint, ENDPOINT_MAX, "npipe:hvrelay-test-%d-target-%u", _getpid(),
             ++number);
    while (listener->instance_count < count)
        open_instance(listener, &listener->instances[listener->instance_count++]);
    if (kind == LISTENER_SILENT)
        listener->filler = CreateFileA(pipe_path(listener->endpoint), GENERIC_READ, 0, NULL,
                                       OPEN_EXISTING, 0, NULL);
}

static struct peer *accept_pipe(struct listener *listener, uint64_t timeout_ms)
{
    HANDLE events[INSTANCES];
    for (size_t i = 0; i < listener->instance_count; i++)
        events[i] = listener->instances[i].waiting.hEvent;
    DWORD which =
        WaitForMultipleObjects((DWORD)listener->instance_count, events, FALSE, (DWORD)timeout_ms);
    if (which >= listener->instance_count)
        return NULL;
    struct instance *instance = &listener->instances[which];
    HANDLE pipe = instance->pipe;
    CloseHandle(instance->waiting.hEvent);
    open_instance(listener, instance);
    return peer_of_pipe(pipe);
}

static void close_instance(struct instance *instance)
{
    DWORD unused;
    CancelIoEx(instance->pipe, &instance->waiting);
    GetOverlappedResult(instance->pipe, &instance->waiting, &unused, TRUE);
    CloseHandle(instance->pipe);
    CloseHandle(instance->waiting.hEvent);
}

/* ---- both ---- */

struct listener *listener_open(const struct family *family, enum listener_kind kind)
{
    struct listener *listener = calloc(1, sizeof *listener);
    assert_non_null(listener);
    listener->socket = INVALID_SOCKET;
    listener->filler = INVALID_HANDLE_VALUE;
    listener->pipe_type = family->half_closes ? PIPE_TYPE_MESSAGE : PIPE_TYPE_BYTE;
    if (strcmp(family->name, "tcp") == 0)
        open_socket(listener, kind);
    else
        open_pipe(listener, kind);
    return listener;
}

const char *listener_endpoint(const struct listener *listener)
{
    return listener->endpoint;
}

struct peer *listener_accept(struct listener *listener, uint64_t timeout_ms)
{
    if (listener->socket == INVALID_SOCKET)
        return accept_pipe(listener, timeout_ms);
    return accept_socket(listener, timeout_ms);
}

void listener_close(struct listener *listener)
{
    if (listener == NULL)
        return;
    for (size_t i = 0; i < listener->filler_count; i++)
        closesocket(listener->fillers[i]);
    if (listener->socket != INVALID_SOCKET)
        closesocket(listener->socket);
    if (listener->filler != INVALID_HANDLE_VALUE)
        CloseHandle(listener->filler);
    for (size_t i = 0; i < listener->instance_count; i++)
        close_instance(&listener->instances[i]);
    free(listener);
}
