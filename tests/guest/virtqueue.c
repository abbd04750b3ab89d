#include "virtqueue.h"

#include <string.h>
#include <unistd.h>

void virtqueue_init(struct virtqueue *queue)
{
    memset(queue, 0, sizeof *queue);
    queue->kick = -1;
    queue->call = -1;
}

void virtqueue_close(struct virtqueue *queue)
{
    if (queue->kick >= 0)
        close(queue->kick);
    if (queue->call >= 0)
        close(queue->call);
    virtqueue_init(queue);
}

int virtqueue_place(struct virtqueue *queue, const struct memory *memory, uint64_t descriptors,
                    uint64_t available, uint64_t used)
{
    uint64_t n = queue->size;
    queue->descriptors = memory_at_monitor(memory, descriptors, n * sizeof *queue->descriptors);
    queue->available = memory_at_monitor(
        memory, available, sizeof *queue->available + n * sizeof queue->available->ring[0]);
    queue->used =
        memory_at_monitor(memory, used, sizeof *queue->used + n * sizeof queue->used->ring[0]);
    if (queue->descriptors && queue->available && queue->used)
        return 0;
    virtqueue_stop(queue);
    return -1;
}

void virtqueue_stop(struct virtqueue *queue)
{
    queue->descriptors = NULL;
    queue->available = NULL;
    queue->used = NULL;
}

bool virtqueue_ready(const struct virtqueue *queue)
{
    return queue->size > 0 && queue->descriptors != NULL && queue->kick >= 0;
}

int virtqueue_peek(const struct virtqueue *queue, const struct memory *memory, struct chain *chain)
{
    /* pairs with the guest's release: what the index announces has been written */
    if (queue->next == __atomic_load_n(&queue->available->idx, __ATOMIC_ACQUIRE))
        return 0;
    uint16_t at = queue->available->ring[queue->next % queue->size];
    chain->head = at;
    chain->size = 0;
    for (chain->segments = 0; chain->segments < CHAIN_SEGMENTS_MAX;) {
        if (at >= queue->size)
            return -1;
        struct vring_desc descriptor = queue->descriptors[at];
        void *base = memory_at_guest(memory, descriptor.addr, descriptor.len);
        if (base == NULL)
            return -1;
        chain->segment[chain->segments++] = (struct iovec){base, descriptor.len};
        chain->size += descriptor.len;
        if (!(descriptor.flags & VRING_DESC_F_NEXT))
            return 1;
        at = descriptor.next;
    }
    return -1;
}

void virtqueue_return(struct virtqueue *queue, const struct chain *chain, size_t written)
{
    uint16_t at = queue->used->idx;
    queue->used->ring[at % queue->size] =
        (struct vring_used_elem){.id = chain->head, .len = (uint32_t)written};
    __atomic_store_n(&queue->used->idx, (uint16_t)(at + 1), __ATOMIC_RELEASE);
    queue->next++;
}

void virtqueue_notify(const struct virtqueue *queue)
{
    /* the used index must be visible before the guest's wish is read, or a wakeup is lost */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (queue->call < 0 || (queue->available->flags & VRING_AVAIL_F_NO_INTERRUPT))
        return;
    /* it does not block: a full counter means that the guest has an interrupt pending anyway */
    if (write(queue->call, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        return;
}

/* Copies between the chain and `bytes`, in the direction that `store` says. */
static void chain_copy(const struct chain *chain, size_t offset, char *bytes, size_t size,
                       bool store)
{
    for (size_t i = 0; i < chain->segments && size > 0; i++) {
        size_t length = chain->segment[i].iov_len;
        if (offset >= length) {
            offset -= length;
            continue;
        }
        char *here = (char *)chain->segment[i].iov_base + offset;
        size_t part = length - offset < size ? length - offset : size;
        memcpy(store ? here : bytes, store ? bytes : here, part);
        bytes += part;
        size -= part;
        offset = 0;
    }
}

void chain_read(const struct chain *chain, size_t offset, void *bytes, size_t size)
{
    chain_copy(chain, offset, bytes, size, false);
}

void chain_write(const struct chain *chain, size_t offset, const void *bytes, size_t size)
{
    chain_copy(chain, offset, (char *)bytes, size, true);
}
