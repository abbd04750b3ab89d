#include "port.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct packet {
    struct packet *next;
    size_t delivered; /* payload bytes */
    struct virtio_vsock_hdr header;
    char payload[];
};

int port_open(struct port *port, uint64_t cid, const char *path)
{
    memset(port, 0, sizeof *port);
    port->guest.socket = -1;
    port->guest.cid = cid;
    port->last = &port->first;
    for (size_t i = 0; i < VSOCK_QUEUES; i++)
        virtqueue_init(&port->queue[i]);
    port->listener = vhost_user_listen(path);
    return port->listener < 0 ? -1 : 0;
}

void port_attach(struct port *port)
{
    port->guest.socket = accept4(port->listener, NULL, NULL, SOCK_CLOEXEC);
}

static void drop_first(struct port *port)
{
    struct packet *packet = port->first;
    port->first = packet->next;
    if (port->first == NULL)
        port->last = &port->first;
    port->waiting--;
    free(packet);
}

void port_stop(struct port *port)
{
    for (size_t i = 0; i < VSOCK_QUEUES; i++)
        virtqueue_stop(&port->queue[i]);
    while (port->first != NULL)
        drop_first(port);
}

void port_detach(struct port *port)
{
    port_stop(port);
    for (size_t i = 0; i < VSOCK_QUEUES; i++)
        virtqueue_close(&port->queue[i]);
    vhost_user_close(&port->guest);
}

bool port_attached(const struct port *port)
{
    return port->guest.socket >= 0;
}

bool port_running(const struct port *port)
{
    return virtqueue_ready(&port->queue[VSOCK_QUEUE_RECEIVE]) &&
           virtqueue_ready(&port->queue[VSOCK_QUEUE_TRANSMIT]);
}

/* Takes the descriptor that came with the message in place of the one that is kept. */
static void replace_file(int *kept, struct vhost_user_message *message)
{
    if (*kept >= 0)
        close(*kept);
    *kept = vhost_user_take_file(message);
    if (*kept >= 0)
        fcntl(*kept, F_SETFL, O_NONBLOCK);
}

static int set_address(struct port *port, const struct vhost_user_message *message)
{
    const struct vhost_vring_addr *address = &message->payload.address;
    if (address->index >= VSOCK_QUEUES)
        return -1;
    return virtqueue_place(&port->queue[address->index], &port->guest.memory,
                           address->desc_user_addr, address->avail_user_addr,
                           address->used_user_addr);
}

static int handle_ring_state(struct port *port, struct vhost_user_message *message)
{
    struct vhost_vring_state *state = &message->payload.state;
    if (state->index >= VSOCK_QUEUES)
        return -1;
    struct virtqueue *queue = &port->queue[state->index];
    switch (message->header.request) {
    case VHOST_USER_SET_VRING_NUM:
        queue->size = state->num;
        break;
    case VHOST_USER_SET_VRING_BASE:
        queue->next = (uint16_t)state->num;
        break;
    case VHOST_USER_SET_VRING_ENABLE: /* 0 is how User-Mode Linux tells that the driver stops */
        if (state->num == 0)
            virtqueue_stop(queue);
        break;
    default: /* VHOST_USER_GET_VRING_BASE: the driver stops */
        state->num = queue->next;
        virtqueue_stop(queue);
        vhost_user_answer(&port->guest, message, sizeof *state);
    }
    return 0;
}

static int handle(struct port *port, struct vhost_user_message *message)
{
    uint32_t index = vhost_user_queue(message);
    switch (message->header.request) {
    case VHOST_USER_GET_FEATURES:
        message->payload.number = UINT64_C(1) << VIRTIO_F_VERSION_1;
        message->payload.number |= VHOST_USER_F_PROTOCOL_FEATURES;
        vhost_user_answer(&port->guest, message, sizeof message->payload.number);
        return 0;
    case VHOST_USER_SET_VRING_NUM:
    case VHOST_USER_SET_VRING_BASE:
    case VHOST_USER_GET_VRING_BASE:
    case VHOST_USER_SET_VRING_ENABLE:
        return handle_ring_state(port, message);
    case VHOST_USER_SET_VRING_ADDR:
        return set_address(port, message);
    case VHOST_USER_SET_VRING_KICK:
    case VHOST_USER_SET_VRING_CALL:
        if (index >= VSOCK_QUEUES)
            return -1;
        replace_file(message->header.request == VHOST_USER_SET_VRING_KICK
                         ? &port->queue[index].kick
                         : &port->queue[index].call,
                     message);
        return 0;
    default:
        return vhost_user_default(&port->guest, message);
    }
}

int port_message(struct port *port)
{
    struct vhost_user_message message;
    if (vhost_user_receive(&port->guest, &message) < 0)
        return -1;
    int result = handle(port, &message);
    vhost_user_finish(&port->guest, &message, result < 0);
    return result;
}

int port_peek(struct port *port, struct virtio_vsock_hdr *header, struct chain *chain)
{
    if (!port_running(port))
        return 0;
    int got = virtqueue_peek(&port->queue[VSOCK_QUEUE_TRANSMIT], &port->guest.memory, chain);
    if (got <= 0)
        return got;
    if (chain->size < sizeof *header)
        return -1;
    chain_read(chain, 0, header, sizeof *header);
    return header->len <= chain->size - sizeof *header ? 1 : -1;
}

void port_take(struct port *port, const struct chain *chain)
{
    struct virtqueue *queue = &port->queue[VSOCK_QUEUE_TRANSMIT];
    virtqueue_return(queue, chain, 0);
    virtqueue_notify(queue);
}

void port_send(struct port *port, const struct virtio_vsock_hdr *header, const struct chain *chain)
{
    struct packet *packet = malloc(sizeof *packet + header->len);
    if (packet == NULL) {
        perror("guest-switch");
        exit(1);
    }
    packet->next = NULL;
    packet->delivered = 0;
    packet->header = *header;
    if (header->len > 0)
        chain_read(chain, sizeof *header, packet->payload, header->len);
    *port->last = packet;
    port->last = &packet->next;
    port->waiting++;
}

/* Puts what fits of the first packet into one chain: the guest's buffers are small, and the rest
 * goes into the next ones under the same header, as vhost_vsock does. */
static void fill(struct port *port, const struct chain *chain)
{
    struct packet *packet = port->first;
    struct virtio_vsock_hdr header = packet->header;
    size_t room = chain->size - sizeof header;
    size_t left = packet->header.len - packet->delivered;
    size_t part = left < room ? left : room;
    header.len = (uint32_t)part;
    chain_write(chain, 0, &header, sizeof header);
    chain_write(chain, sizeof header, packet->payload + packet->delivered, part);
    virtqueue_return(&port->queue[VSOCK_QUEUE_RECEIVE], chain, sizeof header + part);
    packet->delivered += part;
    if (packet->delivered == packet->header.len)
        drop_first(port);
}

int port_deliver(struct port *port)
{
    struct virtqueue *queue = &port->queue[VSOCK_QUEUE_RECEIVE];
    int moved = 0;
    if (!port_running(port))
        return 0;
    while (port->first != NULL) {
        struct chain chain;
        int got = virtqueue_peek(queue, &port->guest.memory, &chain);
        if (got < 0 || (got > 0 && chain.size <= sizeof port->first->header))
            return -1;
        if (got == 0)
            break;
        fill(port, &chain);
        moved = 1;
    }
    if (moved)
        virtqueue_notify(queue);
    return moved;
}

void port_reset_transport(struct port *port)
{
    struct virtqueue *queue = &port->queue[VSOCK_QUEUE_EVENT];
    struct virtio_vsock_event event = {.id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET};
    struct chain chain;
    if (!virtqueue_ready(queue) || virtqueue_peek(queue, &port->guest.memory, &chain) != 1 ||
        chain.size < sizeof event)
        return;
    chain_write(&chain, 0, &event, sizeof event);
    virtqueue_return(queue, &chain, sizeof event);
    virtqueue_notify(queue);
}
