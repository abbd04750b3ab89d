/* A port of the switch: the place where one guest with one CID attaches, again and again. It
 * speaks vhost-user with the guest's monitor, takes the packets the guest sends and delivers those
 * that others sent to it. */
#ifndef GUEST_PORT_H
#define GUEST_PORT_H

#include "vhost_user.h"
#include "virtqueue.h"

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet; /* one that waits for the guest's buffers */

struct port {
    int listener;
    struct vhost_user guest;
    struct virtqueue queue[VSOCK_QUEUES];
    struct packet *first;
    struct packet **last;
    size_t waiting; /* packets */
};

/* Listens for the guest's monitor on the UNIX socket `path`. 0, or -1 with a message. */
int port_open(struct port *port, uint64_t cid, const char *path);

/* A monitor connects to the listener. */
void port_attach(struct port *port);

/* Forgets the guest and what waits for it; the port listens again. */
void port_detach(struct port *port);

/* The guest's driver has stopped: nothing is exchanged until it sets its rings up anew. */
void port_stop(struct port *port);

bool port_attached(const struct port *port);

/* The guest's driver runs: packets can be exchanged. */
bool port_running(const struct port *port);

/* Handles one message of the monitor. 0, or -1: detach. */
int port_message(struct port *port);

/* Looks at the next packet that the guest sends, without taking it: its header, and in `chain` the
 * bytes. 1, 0 when there is none, -1 on nonsense: stop. */
int port_peek(struct port *port, struct virtio_vsock_hdr *header, struct chain *chain);

/* Takes the packet that was looked at. */
void port_take(struct port *port, const struct chain *chain);

/* Queues a packet for the guest: a header, whose len says how many bytes follow in `chain` after
 * the sender's header. `chain` may be NULL when len is 0. */
void port_send(struct port *port, const struct virtio_vsock_hdr *header, const struct chain *chain);

/* Moves queued packets into the guest's buffers. 1 if any moved, 0 if none, -1: stop. */
int port_deliver(struct port *port);

/* Tells the guest that its transport was reset: its driver breaks every connection. */
void port_reset_transport(struct port *port);

#endif
