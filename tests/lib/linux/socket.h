/* What peers and listeners share on Linux. */
#ifndef TESTS_LIB_LINUX_SOCKET_H
#define TESTS_LIB_LINUX_SOCKET_H

#include "../peer.h"
#include "address.h"

#include <stdint.h>

/* Makes a peer that owns the connected socket `fd`. */
struct peer *peer_of_socket(int fd, const struct address *address);

/* poll(2) on one descriptor: 0 when `timeout_ms` passed. */
int await_socket(int fd, short events, uint64_t timeout_ms);

/* Connects the non-blocking `fd`: 0 or an errno, ETIMEDOUT when `timeout_ms` passed. */
int connect_socket(int fd, const struct address *address, uint64_t timeout_ms);

#endif
