#include "vsock.h"

#include "../../guest/inside.h"

#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char outside[] = "vsock is only used inside a guest of tests/guest/boot";

const char *vsock_missing(void)
{
    if (!guest_inside())
        return outside;
    int fd = vsock_socket(SOCK_CLOEXEC);
    if (fd < 0)
        return "this guest's kernel has no vsock";
    close(fd);
    return NULL;
}

int vsock_socket(int flags)
{
    if (!guest_inside()) {
        fprintf(stderr, "refused to open a socket: %s\n", outside);
        abort();
    }
    return socket(AF_VSOCK, SOCK_STREAM | flags, 0);
}

static socklen_t fill(struct sockaddr_storage *out, uint32_t cid, uint32_t port)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    memset(out, 0, sizeof *out);
    memcpy(out, &address, sizeof address);
    return sizeof address;
}

socklen_t vsock_local_address(struct sockaddr_storage *out, uint32_t port)
{
    return fill(out, VMADDR_CID_LOCAL, port);
}

socklen_t vsock_any_address(struct sockaddr_storage *out)
{
    return fill(out, VMADDR_CID_ANY, VMADDR_PORT_ANY);
}

uint32_t vsock_port_of(int fd)
{
    struct sockaddr_vm address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        abort();
    return address.svm_port;
}
