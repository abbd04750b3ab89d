/* What peers and listeners share on Linux. */
#ifndef TESTS_LIB_LINUX_SOCKET_H
#define TESTS_LIB_LINUX_SOCKET_H

#include "../peer.h"
#include "address.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes a peer that owns the connected socket `fd`. */
struct peer *peer_of_socket(int fd, const struct address *address);

/* poll(2) on one descriptor: 0 when `timeout_ms` passed. */
int await_socket(int fd, short events, uint64_t timeout_ms);

/* Connects the non-blocking `fd`: 0 or an errno, ETIMEDOUT when `timeout_ms` passed. */
int connect_socket(int fd, const struct address *address, uint64_t timeout_ms);

/* A target's restart: closes the socket, which resets who waits there, and opens the same address
 * again. listener_up returns false where somebody else has it meanwhile. */
void listener_down(struct listener *listener);
bool listener_up(struct listener *listener);

#endif
