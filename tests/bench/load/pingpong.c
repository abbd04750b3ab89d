#include "load.h"

#include <sys/epoll.h>
#include <unistd.h>

enum { MESSAGE_MAX = 64 * 1024, EVENTS = 64 };

struct pingpong {
    const struct plan *plan;
    struct samples *samples;
    int epoll;
    unsigned pending; /* rounds that have not come back */
    uint64_t deadline;
    uint64_t moved;
};

static void send_all(struct end *end, const char *bytes, size_t length)
{
    if (net_send(end->fd, bytes, length) != length)
        die("a message of %zu bytes does not go at once", length);
    end->sent += length;
}

static void start_round(struct pingpong *run, struct end *client)
{
    static const char message[MESSAGE_MAX];

    client->mark = now_ns();
    send_all(client, message, run->plan->size);
    run->pending++;
}

static void on_client(struct pingpong *run, struct end *client)
{
    uint64_t now;

    if (client->received < client->sent)
        return;
    now = now_ns();
    run->pending--;
    samples_add(run->samples, now - client->mark);
    if (now < run->deadline)
        start_round(run, client);
}

static void on_event(struct pingpong *run, struct end *end)
{
    char bytes[MESSAGE_MAX];
    size_t count = net_receive(end->fd, bytes, sizeof bytes);

    if (count == 0)
        return;
    end_received(end, count);
    run->moved += count;
    if (end->server)
        send_all(end, bytes, count);
    else
        on_client(run, end);
}

static void watch(int epoll, struct end *end)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, end->fd, &event) != 0)
        die("epoll_ctl failed");
}

uint64_t pingpong_run(struct pair *pairs, unsigned count, const struct plan *plan,
                      struct samples *samples)
{
    struct pingpong run = {.plan = plan, .samples = samples};
    struct epoll_event events[EVENTS];

    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.deadline = now_ns() + plan->ns;
    for (unsigned i = 0; i < count; i++) {
        watch(run.epoll, &pairs[i].end[CLIENT]);
        watch(run.epoll, &pairs[i].end[SERVER]);
        start_round(&run, &pairs[i].end[CLIENT]);
    }
    while (run.pending > 0) {
        int ready = epoll_wait(run.epoll, events, EVENTS, patience);

        if (ready <= 0)
            die_of_silence(pairs, count);
        for (int i = 0; i < ready; i++)
            on_event(&run, events[i].data.ptr);
    }
    close(run.epoll);
    return run.moved;
}
