#include "load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4096, EVENTS = 64 };

/* One end of a short connection; freed when it is closed. */
struct caller {
    int fd;
    bool server;
    bool asked; /* a client has sent its message */
    size_t received;
    uint64_t since;
};

struct connect {
    const struct where *target;
    const struct plan *plan;
    struct samples *samples;
    int epoll, listener;
    unsigned started, answered, served, open_servers;
};

static void watch(const struct connect *run, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};

    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl failed");
}

static void open_caller(const struct connect *run, int fd, bool server, uint64_t since)
{
    struct caller *caller = malloc(sizeof *caller);

    if (!caller)
        die("out of memory");
    *caller = (struct caller){.fd = fd, .server = server, .since = since};
    watch(run, fd, EPOLLIN | EPOLLET | (server ? 0 : (uint32_t)EPOLLOUT), caller);
}

static void close_caller(struct caller *caller)
{
    close(caller->fd);
    free(caller);
}

static void start_one(struct connect *run)
{
    uint64_t since = now_ns();

    if (run->started == run->plan->count)
        return;
    run->started++;
    open_caller(run, net_connect(run->target), false, since);
}

static void accept_all(struct connect *run)
{
    int fd;

    while ((fd = net_accept(run->listener)) >= 0) {
        run->open_servers++;
        open_caller(run, fd, true, 0);
    }
}

static void send_message(int fd, size_t length)
{
    static const char message[MESSAGE_MAX];

    if (net_send(fd, message, length) != length)
        die("a message does not go at once");
}

static void check_count(const struct connect *run, const struct caller *caller)
{
    if (caller->received > run->plan->size)
        die("wrong byte count: %zu were sent, %zu came", run->plan->size, caller->received);
}

/* The client has its answer: the connection is over. */
static void on_client(struct connect *run, struct caller *caller)
{
    char bytes[MESSAGE_MAX];

    if (!caller->asked) {
        net_check(caller->fd);
        send_message(caller->fd, run->plan->size);
        caller->asked = true;
        return;
    }
    caller->received += net_receive(caller->fd, bytes, sizeof bytes);
    check_count(run, caller);
    if (caller->received < run->plan->size)
        return;
    samples_add(run->samples, now_ns() - caller->since);
    run->answered++;
    close_caller(caller);
    start_one(run);
}

static void on_server(struct connect *run, struct caller *caller)
{
    char bytes[MESSAGE_MAX];
    ssize_t count;

    while ((count = net_try_receive(caller->fd, bytes, sizeof bytes)) > 0) {
        caller->received += (size_t)count;
        check_count(run, caller);
        send_message(caller->fd, (size_t)count);
    }
    if (count == 0)
        return;
    if (caller->received != run->plan->size)
        die("wrong byte count: %zu were sent, %zu came", run->plan->size, caller->received);
    run->open_servers--;
    run->served++;
    close_caller(caller);
}

static void on_event(struct connect *run, struct caller *caller)
{
    if (!caller)
        accept_all(run);
    else if (caller->server)
        on_server(run, caller);
    else
        on_client(run, caller);
}

static void turn(struct connect *run)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(run->epoll, events, EVENTS, patience);

    if (ready <= 0)
        die("nothing moves: %u of %u connections were answered, %u came to an end", run->answered,
            run->plan->count, run->served);
    for (int i = 0; i < ready; i++)
        on_event(run, events[i].data.ptr);
}

uint64_t connect_run(int listener, const struct where *target, const struct plan *plan,
                     struct samples *samples)
{
    struct connect run = {.target = target, .plan = plan, .samples = samples, .listener = listener};

    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(&run, listener, EPOLLIN, NULL);
    for (unsigned i = 0; i < plan->connections; i++)
        start_one(&run);
    while (run.served < plan->count)
        turn(&run);
    if (run.answered != plan->count || run.open_servers > 0)
        die("wrong count of connections: %u asked, %u answered", plan->count, run.answered);
    close(run.epoll);
    return 2 * (uint64_t)run.answered * plan->size;
}
