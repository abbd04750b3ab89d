/* The device's side of the vhost-user protocol, as far as a virtio-vsock device needs it.
 *
 * A virtual machine monitor (User-Mode Linux, QEMU) connects to a UNIX socket and hands over the
 * memory, the rings and the event descriptors of its guest. guest-switch and guest-hub share this
 * file; what they do with the rings differs. Host byte order is assumed to be little-endian. */
#ifndef GUEST_VHOST_USER_H
#define GUEST_VHOST_USER_H

#include "memory.h"

#include <linux/vhost_types.h>
#include <stddef.h>
#include <stdint.h>

enum vhost_user_request {
    VHOST_USER_GET_FEATURES = 1,
    VHOST_USER_SET_FEATURES = 2,
    VHOST_USER_SET_OWNER = 3,
    VHOST_USER_SET_MEM_TABLE = 5,
    VHOST_USER_SET_VRING_NUM = 8,
    VHOST_USER_SET_VRING_ADDR = 9,
    VHOST_USER_SET_VRING_BASE = 10,
    VHOST_USER_GET_VRING_BASE = 11,
    VHOST_USER_SET_VRING_KICK = 12,
    VHOST_USER_SET_VRING_CALL = 13,
    VHOST_USER_GET_PROTOCOL_FEATURES = 15,
    VHOST_USER_GET_QUEUE_NUM = 17,
    VHOST_USER_SET_VRING_ENABLE = 18,
    VHOST_USER_GET_CONFIG = 24,
};

/* The queues of a virtio-vsock device, by index. */
enum {
    VSOCK_QUEUE_RECEIVE, /* to the guest */
    VSOCK_QUEUE_TRANSMIT,
    VSOCK_QUEUE_EVENT,
    VSOCK_QUEUES
};

/* The feature bit of vhost-user itself; a kernel's vhost device must not see it. */
#define VHOST_USER_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)

enum { VHOST_USER_CONFIG_MAX = 256, VHOST_USER_FILES_MAX = 8 };

struct vhost_user_message {
    struct {
        uint32_t request;
        uint32_t flags;
        uint32_t size; /* of the payload, bytes */
    } header;
    union { /* zeroed beyond header.size: a short message reads as zeros */
        uint64_t number;
        struct vhost_vring_state state;
        struct vhost_vring_addr address;
        struct {
            uint32_t count;
            uint32_t padding;
            struct memory_layout region[MEMORY_REGIONS_MAX];
        } memory;
        struct {
            uint32_t offset;
            uint32_t size;
            uint32_t flags;
            unsigned char data[VHOST_USER_CONFIG_MAX];
        } config;
        unsigned char bytes[512];
    } payload;
    int file[VHOST_USER_FILES_MAX];
    size_t files;
    int answered;
};

/* One attached guest. */
struct vhost_user {
    int socket; /* -1: none attached */
    uint64_t cid;
    struct memory memory;
};

/* A listening UNIX socket at `path`, replacing what is there. -1 with a message on stderr. */
int vhost_user_listen(const char *path);

/* Ends the connection and unmaps the guest's memory. */
void vhost_user_close(struct vhost_user *guest);

/* Receives one message. 0, or -1: the guest is gone or talks nonsense. The caller ends each
 * received message with vhost_user_finish. */
int vhost_user_receive(struct vhost_user *guest, struct vhost_user_message *message);

/* Takes the next descriptor out of the message (the caller closes it); -1: there is none. */
int vhost_user_take_file(struct vhost_user_message *message);

/* Answers with the first `size` bytes of the message's payload. */
void vhost_user_answer(struct vhost_user *guest, struct vhost_user_message *message, uint32_t size);

/* Handles what each vsock device handles in the same way: protocol features, number of queues,
 * configuration (the CID), memory table. Anything else is accepted and ignored. 0 or -1. */
int vhost_user_default(struct vhost_user *guest, struct vhost_user_message *message);

/* Acknowledges when the monitor waits for it (`failed`: the request could not be met) and closes
 * the descriptors nobody took. */
void vhost_user_finish(struct vhost_user *guest, struct vhost_user_message *message, int failed);

/* The queue that a kick or call message is about. */
uint32_t vhost_user_queue(const struct vhost_user_message *message);

#endif
