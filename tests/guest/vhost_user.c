#include "vhost_user.h"

#include <errno.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FLAG_VERSION = 1, FLAG_REPLY = 1 << 2, FLAG_NEED_REPLY = 1 << 3 };

enum { PROTOCOL_MQ = 1 << 0, PROTOCOL_REPLY_ACK = 1 << 3, PROTOCOL_CONFIG = 1 << 9 };

int vhost_user_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "socket path too long (%zu characters at most): '%s'\n",
                sizeof address.sun_path - 1, path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    unlink(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0) {
        fprintf(stderr, "cannot listen on '%s': %s\n", path, strerror(errno));
        if (listener >= 0)
            close(listener);
        return -1;
    }
    return listener;
}

void vhost_user_close(struct vhost_user *guest)
{
    if (guest->socket >= 0)
        close(guest->socket);
    guest->socket = -1;
    memory_unmap(&guest->memory);
}

static void collect_files(struct vhost_user_message *message, struct msghdr *packet)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(packet); c != NULL; c = CMSG_NXTHDR(packet, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        message->files = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(message->file, CMSG_DATA(c), message->files * sizeof(int));
    }
}

int vhost_user_receive(struct vhost_user *guest, struct vhost_user_message *message)
{
    memset(message, 0, sizeof *message);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof message->file)];
    struct iovec header = {&message->header, sizeof message->header};
    struct msghdr packet = {.msg_iov = &header,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    ssize_t got = recvmsg(guest->socket, &packet, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    if (got > 0)
        collect_files(message, &packet);
    uint32_t size = message->header.size;
    if (got == (ssize_t)sizeof message->header && size <= sizeof message->payload &&
        (size == 0 || recv(guest->socket, &message->payload, size, MSG_WAITALL) == (ssize_t)size))
        return 0;
    while (message->files > 0)
        close(vhost_user_take_file(message));
    return -1;
}

int vhost_user_take_file(struct vhost_user_message *message)
{
    if (message->files == 0)
        return -1;
    int file = message->file[0];
    message->files--;
    memmove(message->file, message->file + 1, message->files * sizeof(int));
    return file;
}

void vhost_user_answer(struct vhost_user *guest, struct vhost_user_message *message, uint32_t size)
{
    message->header.flags = FLAG_VERSION | FLAG_REPLY;
    message->header.size = size;
    message->answered = 1;
    struct iovec parts[] = {{&message->header, sizeof message->header}, {&message->payload, size}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    /* a monitor that died meanwhile is noticed by the next receive */
    (void)sendmsg(guest->socket, &packet, MSG_NOSIGNAL);
}

static int answer_config(struct vhost_user *guest, struct vhost_user_message *message)
{
    struct virtio_vsock_config config = {.guest_cid = guest->cid};
    uint32_t offset = message->payload.config.offset;
    uint32_t size = message->payload.config.size;
    if (offset > sizeof config || size > sizeof config - offset)
        return -1;
    memcpy(message->payload.config.data, (char *)&config + offset, size);
    vhost_user_answer(guest, message, message->header.size);
    return 0;
}

int vhost_user_default(struct vhost_user *guest, struct vhost_user_message *message)
{
    switch (message->header.request) {
    case VHOST_USER_GET_PROTOCOL_FEATURES:
        message->payload.number = PROTOCOL_MQ | PROTOCOL_REPLY_ACK | PROTOCOL_CONFIG;
        vhost_user_answer(guest, message, sizeof message->payload.number);
        return 0;
    case VHOST_USER_GET_QUEUE_NUM:
        message->payload.number = VSOCK_QUEUES;
        vhost_user_answer(guest, message, sizeof message->payload.number);
        return 0;
    case VHOST_USER_GET_CONFIG:
        return answer_config(guest, message);
    case VHOST_USER_SET_MEM_TABLE:
        if (message->payload.memory.count > message->files)
            return -1;
        return memory_map(&guest->memory, message->payload.memory.region, message->file,
                          message->payload.memory.count);
    default:
        return 0;
    }
}

void vhost_user_finish(struct vhost_user *guest, struct vhost_user_message *message, int failed)
{
    if ((message->header.flags & FLAG_NEED_REPLY) && !message->answered) {
        message->payload.number = failed ? 1 : 0;
        vhost_user_answer(guest, message, sizeof message->payload.number);
    }
    while (message->files > 0)
        close(vhost_user_take_file(message));
}

uint32_t vhost_user_queue(const struct vhost_user_message *message)
{
    return (uint32_t)(message->payload.number & 0xff);
}
