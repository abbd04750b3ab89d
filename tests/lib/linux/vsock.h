/* AF_VSOCK for the tests, behind one gate.
 *
 * The machine that builds and tests may use its own AF_VSOCK for other things, so the tests must
 * never touch it: they do so only inside a guest of their own. Every vsock socket and address of
 * the tests comes from here (no other file includes <linux/vm_sockets.h> or names the family), and
 * vsock_socket ends the process when it is asked outside such a guest (tests/guest/inside.h). */
#ifndef TESTS_LIB_LINUX_VSOCK_H
#define TESTS_LIB_LINUX_VSOCK_H

#include <stdint.h>
#include <sys/socket.h>

/* NULL: we are in a guest that the tests booted and it has vsock; else why not. */
const char *vsock_missing(void);

/* socket(2) for AF_VSOCK streams with `flags` (SOCK_CLOEXEC...). Aborts outside a guest. */
int vsock_socket(int flags);

/* Fills in the loopback address (CID 1) with `port`; returns its length. */
socklen_t vsock_local_address(struct sockaddr_storage *out, uint32_t port);

/* Fills in the address to bind for any CID and a port that the kernel chooses. */
socklen_t vsock_any_address(struct sockaddr_storage *out);

/* The port a vsock socket is bound to. */
uint32_t vsock_port_of(int fd);

#endif
