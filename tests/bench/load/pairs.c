#include "pairs.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { AT_ONCE = 16 }; /* connections on their way: some relays have a short backlog */

/* Waits until the socket is ready. */
static void wait_for(int fd, short events, const char *what)
{
    struct pollfd poller = {.fd = fd, .events = events};

    if (poll(&poller, 1, patience) != 1)
        die("%s: nothing for %d s", what, patience / 1000);
}

/* The first bytes of a connection are its number: so its two ends find each other. */
static void send_number(struct pair *pairs, uint32_t number)
{
    struct end *end = &pairs[number].end[CLIENT];

    wait_for(end->fd, POLLOUT, "connect");
    net_check(end->fd);
    if (net_send(end->fd, &number, sizeof number) != sizeof number)
        die("the first bytes do not go");
}

static void accept_number(int listener, struct pair *pairs, unsigned count)
{
    uint32_t number = UINT32_MAX;
    size_t length = 0;
    int fd;

    wait_for(listener, POLLIN, "accept");
    fd = net_accept(listener);
    while (length < sizeof number) {
        wait_for(fd, POLLIN, "the first bytes");
        length += net_receive(fd, (char *)&number + length, sizeof number - length);
    }
    if (number >= count || pairs[number].end[SERVER].fd >= 0)
        die("a connection came with a wrong number");
    pairs[number].end[SERVER].fd = fd;
}

struct pair *pairs_open(int listener, const struct where *target, unsigned count)
{
    struct pair *pairs = calloc(count, sizeof *pairs);
    unsigned connected = 0, accepted = 0;

    if (!pairs)
        die("out of memory");
    for (unsigned i = 0; i < count; i++) {
        struct end *end = pairs[i].end;

        end[CLIENT] = (struct end){.fd = -1, .other = &end[SERVER]};
        end[SERVER] = (struct end){.fd = -1, .other = &end[CLIENT], .server = true};
    }
    while (accepted < count) {
        unsigned first = connected;

        for (; connected < count && connected < accepted + AT_ONCE; connected++)
            pairs[connected].end[CLIENT].fd = net_connect(target);
        for (; first < connected; first++)
            send_number(pairs, first);
        accept_number(listener, pairs, count);
        accepted++;
    }
    return pairs;
}

void pairs_close(struct pair *pairs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        close(pairs[i].end[CLIENT].fd);
        close(pairs[i].end[SERVER].fd);
    }
    free(pairs);
}

void end_received(struct end *end, size_t count)
{
    end->received += count;
    if (end->received > end->other->sent)
        die("wrong byte count: %" PRIu64 " were sent, %" PRIu64 " came", end->other->sent,
            end->received);
}

bool pair_is_even(const struct pair *pair)
{
    return pair->end[CLIENT].received == pair->end[SERVER].sent &&
           pair->end[SERVER].received == pair->end[CLIENT].sent;
}

_Noreturn void die_of_silence(const struct pair *pairs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct end *client = &pairs[i].end[CLIENT], *server = &pairs[i].end[SERVER];

        if (!pair_is_even(&pairs[i]))
            die("wrong byte count, and nothing comes any more: up %" PRIu64 " sent, %" PRIu64
                " came; down %" PRIu64 " sent, %" PRIu64 " came",
                client->sent, server->received, server->sent, client->received);
    }
    die("nothing moves");
}
