/* guest-hub CID SOCKET
 *
 * Makes a User-Mode Linux guest a guest of the running kernel's vhost_vsock: translates vhost-user
 * on SOCKET into ioctls on /dev/vhost-vsock. The kernel that runs this is then the host (CID 2) of
 * the guest CID. Runs only inside one of our guests. One line `ready` on standard output says that
 * SOCKET listens; it serves one guest and ends with it. */
#include "inside.h"
#include "vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* vhost_vsock runs the data queues only; the event queue stays with the monitor, unused */
    KERNEL_QUEUES = VSOCK_QUEUE_EVENT
};

/* The kernel interrupts through an eventfd, User-Mode Linux wants a byte count on a pipe. */
struct interrupt {
    int kernel;
    int guest;
};

static int vhost; /* /dev/vhost-vsock */
static struct interrupt interrupts[KERNEL_QUEUES] = {{-1, -1}, {-1, -1}};

static int control(unsigned long request, void *argument, const char *name)
{
    if (ioctl(vhost, request, argument) == 0)
        return 0;
    fprintf(stderr, "guest-hub: %s: %s\n", name, strerror(errno));
    return -1;
}
#define CONTROL(request, argument) control(request, argument, #request)

static int set_memory(struct vhost_user *guest, struct vhost_user_message *message)
{
    if (vhost_user_default(guest, message) < 0)
        return -1;
    size_t count = guest->memory.count;
    struct vhost_memory *table = calloc(1, sizeof *table + count * sizeof table->regions[0]);
    if (table == NULL)
        return -1;
    table->nregions = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct memory_region *region = &guest->memory.region[i];
        table->regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = region->layout.guest_address,
            .memory_size = region->layout.size & ~UINT64_C(4095), /* whole pages or EINVAL */
            .userspace_addr = (uintptr_t)memory_region_start(region),
        };
    }
    int result = CONTROL(VHOST_SET_MEM_TABLE, table);
    free(table);
    return result;
}

/* The kernel wants the addresses as this process sees them. The log stays out: it is not used, and
 * what User-Mode Linux writes there is EINVAL to the kernel. */
static int set_address(const struct vhost_user *guest, const struct vhost_user_message *message)
{
    const struct vhost_vring_addr *theirs = &message->payload.address;
    const struct memory *memory = &guest->memory;
    struct vhost_vring_addr ours = {
        .index = theirs->index,
        .desc_user_addr = (uintptr_t)memory_at_monitor(memory, theirs->desc_user_addr, 1),
        .used_user_addr = (uintptr_t)memory_at_monitor(memory, theirs->used_user_addr, 1),
        .avail_user_addr = (uintptr_t)memory_at_monitor(memory, theirs->avail_user_addr, 1),
    };
    return CONTROL(VHOST_SET_VRING_ADDR, &ours);
}

static int set_kick(struct vhost_user_message *message)
{
    struct vhost_vring_file file = {vhost_user_queue(message), vhost_user_take_file(message)};
    int result = CONTROL(VHOST_SET_VRING_KICK, &file); /* the kernel holds its own reference */
    if (file.fd >= 0)
        close(file.fd);
    return result;
}

static int set_call(struct vhost_user_message *message)
{
    struct interrupt *interrupt = &interrupts[vhost_user_queue(message)];
    if (interrupt->guest >= 0)
        close(interrupt->guest);
    interrupt->guest = vhost_user_take_file(message);
    if (interrupt->guest >= 0)
        fcntl(interrupt->guest, F_SETFL, O_NONBLOCK);
    if (interrupt->kernel < 0)
        interrupt->kernel = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct vhost_vring_file file = {vhost_user_queue(message), interrupt->kernel};
    return CONTROL(VHOST_SET_VRING_CALL, &file);
}

static int set_running(int running)
{
    return CONTROL(VHOST_VSOCK_SET_RUNNING, &running);
}

static int get_base(struct vhost_user *guest, struct vhost_user_message *message)
{
    struct vhost_vring_state *state = &message->payload.state;
    if (set_running(0) < 0)
        return -1;
    if (state->index < KERNEL_QUEUES && CONTROL(VHOST_GET_VRING_BASE, state) < 0)
        return -1;
    vhost_user_answer(guest, message, sizeof *state);
    return 0;
}

/* What concerns one of the kernel's own queues. */
static int handle_queue(struct vhost_user *guest, struct vhost_user_message *message)
{
    if (vhost_user_queue(message) >= KERNEL_QUEUES)
        return 0;
    switch (message->header.request) {
    case VHOST_USER_SET_VRING_NUM:
        return CONTROL(VHOST_SET_VRING_NUM, &message->payload.state);
    case VHOST_USER_SET_VRING_BASE:
        return CONTROL(VHOST_SET_VRING_BASE, &message->payload.state);
    case VHOST_USER_SET_VRING_ADDR:
        return set_address(guest, message);
    case VHOST_USER_SET_VRING_KICK:
        return set_kick(message);
    case VHOST_USER_SET_VRING_CALL:
        return set_call(message);
    default: /* VHOST_USER_SET_VRING_ENABLE, for the last of them: the driver is up */
        if (message->payload.state.index == KERNEL_QUEUES - 1 && message->payload.state.num)
            return set_running(1);
        return 0;
    }
}

static int get_features(struct vhost_user *guest, struct vhost_user_message *message)
{
    uint64_t *features = &message->payload.number;
    if (CONTROL(VHOST_GET_FEATURES, features) < 0)
        return -1;
    *features &= UINT64_C(1) << VIRTIO_F_VERSION_1;
    *features |= VHOST_USER_F_PROTOCOL_FEATURES;
    vhost_user_answer(guest, message, sizeof *features);
    return 0;
}

static int set_features(struct vhost_user_message *message)
{
    uint64_t features = message->payload.number & ~VHOST_USER_F_PROTOCOL_FEATURES;
    return CONTROL(VHOST_SET_FEATURES, &features);
}

static int handle(struct vhost_user *guest, struct vhost_user_message *message)
{
    switch (message->header.request) {
    case VHOST_USER_GET_FEATURES:
        return get_features(guest, message);
    case VHOST_USER_SET_FEATURES:
        return set_features(message);
    case VHOST_USER_SET_OWNER:
        return CONTROL(VHOST_SET_OWNER, NULL);
    case VHOST_USER_SET_MEM_TABLE:
        return set_memory(guest, message);
    case VHOST_USER_GET_VRING_BASE:
        return get_base(guest, message);
    case VHOST_USER_SET_VRING_NUM:
    case VHOST_USER_SET_VRING_BASE:
    case VHOST_USER_SET_VRING_ADDR:
    case VHOST_USER_SET_VRING_KICK:
    case VHOST_USER_SET_VRING_CALL:
    case VHOST_USER_SET_VRING_ENABLE:
        return handle_queue(guest, message);
    default:
        return vhost_user_default(guest, message);
    }
}

static void pass_interrupt(const struct interrupt *interrupt)
{
    uint64_t count;
    if (read(interrupt->kernel, &count, sizeof count) < 0)
        return;
    /* a full pipe means that the guest has an interrupt pending anyway */
    if (write(interrupt->guest, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        return;
}

static void run(struct vhost_user *guest)
{
    for (;;) {
        struct pollfd watched[1 + KERNEL_QUEUES] = {{guest->socket, POLLIN, 0}};
        for (size_t i = 0; i < KERNEL_QUEUES; i++)
            watched[1 + i] = (struct pollfd){interrupts[i].kernel, POLLIN, 0};
        if (poll(watched, 1 + KERNEL_QUEUES, -1) < 0)
            continue;
        for (size_t i = 0; i < KERNEL_QUEUES; i++)
            if (watched[1 + i].revents)
                pass_interrupt(&interrupts[i]);
        if (!watched[0].revents)
            continue;
        struct vhost_user_message message;
        if (vhost_user_receive(guest, &message) < 0)
            return;
        int result = handle(guest, &message);
        vhost_user_finish(guest, &message, result < 0);
    }
}

int main(int argc, char **argv)
{
    guest_assert();
    if (argc != 3) {
        fputs("usage: guest-hub CID SOCKET\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* the guest may close its end of a call pipe */
    struct vhost_user guest = {.socket = -1, .cid = strtoull(argv[1], NULL, 10)};
    vhost = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
    if (vhost < 0) {
        fprintf(stderr, "guest-hub: /dev/vhost-vsock: %s\n", strerror(errno));
        return 1;
    }
    int listener = vhost_user_listen(argv[2]);
    if (listener < 0 || CONTROL(VHOST_VSOCK_SET_GUEST_CID, &guest.cid) < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    guest.socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (guest.socket < 0)
        return 1;
    run(&guest);
    unlink(argv[2]);
    return 0;
}
