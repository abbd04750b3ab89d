/* guest-switch CID:SOCKET [CID:SOCKET]...
 *
 * Joins guests by virtio-vsock: whoever attaches to SOCKET (vhost-user) is the guest CID. It only
 * copies packets between the guests' rings and opens no vsock itself, so that it may run on any
 * machine. One line `ready` on standard output says that the sockets listen.
 *
 * Policy, as a vhost_vsock host behaves towards siblings:
 *   to a running guest    delivered; the sender waits while that guest is slow
 *   to the host (CID 2)   refused: this host has no services
 *   to any other CID      dropped: the sender's connect times out
 * When a guest or its driver goes away, the transport of the others is reset. SIGUSR1 resets the
 * transport of the first guest, SIGUSR2 of all at once. (With traffic under way, another guest that
 * is reset answers it by ending the stream, and the first may see that, an orderly end, before its
 * own reset.) SIGTERM and SIGINT end the switch and remove the sockets. */
#include "port.h"

#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    PORTS_MAX = 8,
    PACKETS_WAITING_MAX = 256, /* for a slow guest, before its senders wait */
    WATCHED = 1 + VSOCK_QUEUES /* descriptors per port: the connection and the kicks */
};

static struct port ports[PORTS_MAX];
static const char *paths[PORTS_MAX];
static size_t port_count;

static struct port *running_port(uint64_t cid)
{
    for (size_t i = 0; i < port_count; i++)
        if (ports[i].guest.cid == cid && port_running(&ports[i]))
            return &ports[i];
    return NULL;
}

static void reset_all(void)
{
    for (size_t i = 0; i < port_count; i++)
        port_reset_transport(&ports[i]);
}

static void detach(struct port *port)
{
    fprintf(stderr, "guest-switch: guest %llu is gone\n", (unsigned long long)port->guest.cid);
    port_detach(port);
    reset_all();
}

/* Its rings make no sense (any more): a driver that lets its device go takes them back before it is
 * told to us. */
static void stop(struct port *port)
{
    fprintf(stderr, "guest-switch: the driver of guest %llu has stopped\n",
            (unsigned long long)port->guest.cid);
    port_stop(port);
    reset_all();
}

static void refuse(struct port *port, const struct virtio_vsock_hdr *header)
{
    struct virtio_vsock_hdr answer = {
        .src_cid = header->dst_cid,
        .dst_cid = header->src_cid,
        .src_port = header->dst_port,
        .dst_port = header->src_port,
        .type = header->type,
        .op = VIRTIO_VSOCK_OP_RST,
    };
    port_send(port, &answer, NULL);
}

static void route(struct port *from, const struct virtio_vsock_hdr *header,
                  const struct chain *chain, struct port *to)
{
    if (header->src_cid != from->guest.cid)
        return;
    if (to != NULL)
        port_send(to, header, chain);
    else if (header->dst_cid == VMADDR_CID_HOST && header->op != VIRTIO_VSOCK_OP_RST)
        refuse(from, header);
}

/* Forwards what a guest sends, as far as the receivers keep up. Says whether anything moved. */
static bool forward(struct port *from)
{
    struct virtio_vsock_hdr header;
    struct chain chain;
    bool moved = false;
    int got;
    while ((got = port_peek(from, &header, &chain)) > 0) {
        struct port *to = running_port(header.dst_cid);
        struct port *receiver = to != NULL ? to : from;
        if (receiver->waiting >= PACKETS_WAITING_MAX)
            break;
        route(from, &header, &chain, to);
        port_take(from, &chain);
        moved = true;
    }
    if (got < 0)
        stop(from);
    return moved;
}

static void forward_all(void)
{
    bool moved;
    do {
        moved = false;
        for (size_t i = 0; i < port_count; i++)
            moved |= forward(&ports[i]);
        for (size_t i = 0; i < port_count; i++) {
            int delivered = port_deliver(&ports[i]);
            if (delivered < 0)
                stop(&ports[i]);
            moved |= delivered > 0;
        }
    } while (moved);
}

static void watch(const struct port *port, struct pollfd *watched)
{
    watched[0] =
        (struct pollfd){port_attached(port) ? port->guest.socket : port->listener, POLLIN, 0};
    for (size_t i = 0; i < VSOCK_QUEUES; i++) /* poll skips descriptor -1 */
        watched[1 + i] = (struct pollfd){port->queue[i].kick, POLLIN, 0};
}

static void serve(struct port *port, const struct pollfd *watched)
{
    for (size_t i = 0; i < VSOCK_QUEUES; i++) {
        uint64_t count;
        if (watched[1 + i].revents && read(watched[1 + i].fd, &count, sizeof count) < 0)
            continue; /* somebody else's wakeup; forward_all looks at every ring anyway */
    }
    if (!watched[0].revents)
        return;
    if (!port_attached(port))
        port_attach(port);
    else if (port_message(port) < 0)
        detach(port);
}

/* Runs until a signal asks for the end. */
static void run(int signals)
{
    struct pollfd watched[1 + PORTS_MAX * WATCHED];
    for (;;) {
        watched[0] = (struct pollfd){signals, POLLIN, 0};
        for (size_t i = 0; i < port_count; i++)
            watch(&ports[i], &watched[1 + i * WATCHED]);
        if (poll(watched, 1 + port_count * WATCHED, -1) < 0)
            continue;
        struct signalfd_siginfo signal;
        if (watched[0].revents && read(signals, &signal, sizeof signal) == sizeof signal) {
            if (signal.ssi_signo == SIGUSR1)
                port_reset_transport(&ports[0]);
            else if (signal.ssi_signo == SIGUSR2)
                reset_all();
            else
                return;
        }
        for (size_t i = 0; i < port_count; i++)
            serve(&ports[i], &watched[1 + i * WATCHED]);
        forward_all();
    }
}

static int open_ports(int count, char **arguments)
{
    for (int i = 0; i < count; i++) {
        char *end;
        unsigned long cid = strtoul(arguments[i], &end, 10);
        if (cid <= VMADDR_CID_HOST || *end != ':' || port_count == PORTS_MAX)
            return 2;
        paths[port_count] = end + 1;
        if (port_open(&ports[port_count], cid, end + 1) < 0)
            return 1;
        port_count++;
    }
    return port_count > 0 ? 0 : 2;
}

static int block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a monitor may close its end of a call descriptor, a pipe */
    int signals = block_signals();
    int failed = open_ports(argc - 1, argv + 1);
    if (failed == 2)
        fprintf(stderr, "usage: guest-switch CID:SOCKET [CID:SOCKET]... (CID > 2, at most %d)\n",
                PORTS_MAX);
    if (!failed) {
        puts("ready");
        fflush(stdout);
        run(signals);
    }
    for (size_t i = 0; i < port_count; i++) {
        port_detach(&ports[i]);
        unlink(paths[i]);
    }
    return failed;
}
