/* The device's side of one virtio split ring. Only VIRTIO_F_VERSION_1 is assumed: no indirect
 * descriptors, no event index. A ring's content comes from a guest and is checked. */
#ifndef GUEST_VIRTQUEUE_H
#define GUEST_VIRTQUEUE_H

#include "memory.h"

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { CHAIN_SEGMENTS_MAX = 64 };

struct virtqueue {
    uint32_t size; /* entries */
    struct vring_desc *descriptors;
    struct vring_avail *available;
    struct vring_used *used;
    uint16_t next; /* the first available entry not yet used; counts on, modulo 2^16 */
    int kick;      /* owned; readable when the guest offers buffers; -1: none */
    int call;      /* owned; written to interrupt the guest; -1: none */
};

/* A chain of buffers that the guest offers. */
struct chain {
    uint16_t head;
    size_t segments;
    size_t size; /* bytes in all */
    struct iovec segment[CHAIN_SEGMENTS_MAX];
};

void virtqueue_init(struct virtqueue *queue);

/* Forgets the ring and closes both descriptors. */
void virtqueue_close(struct virtqueue *queue);

/* Sets the ring's three parts, given as the monitor's addresses. 0, or -1: outside the memory. */
int virtqueue_place(struct virtqueue *queue, const struct memory *memory, uint64_t descriptors,
                    uint64_t available, uint64_t used);

/* Stops the ring; it needs a new place before it is ready again. */
void virtqueue_stop(struct virtqueue *queue);

bool virtqueue_ready(const struct virtqueue *queue);

/* Looks at the next offered chain without taking it: 1, 0 when there is none, -1 on nonsense. */
int virtqueue_peek(const struct virtqueue *queue, const struct memory *memory, struct chain *chain);

/* Hands the chain that was looked at back to the guest, with `written` bytes put into it. */
void virtqueue_return(struct virtqueue *queue, const struct chain *chain, size_t written);

/* Interrupts the guest, unless it asked not to be. After a batch of returns. */
void virtqueue_notify(const struct virtqueue *queue);

/* Copy `size` bytes at `offset` of the chain, which must be that large. */
void chain_read(const struct chain *chain, size_t offset, void *bytes, size_t size);
void chain_write(const struct chain *chain, size_t offset, const void *bytes, size_t size);

#endif
