/* Socket addresses of the endpoints that the tests use; numeric, no lookups. */
#ifndef TESTS_LIB_LINUX_ADDRESS_H
#define TESTS_LIB_LINUX_ADDRESS_H

#include "../family.h"

#include <stdbool.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* The address to connect to in order to reach a listener on `endpoint`. False: not understood. */
bool address_to_reach(const char *endpoint, struct address *out);

/* An address of `family` for a target to bind: free, and chosen by the kernel where it can. */
void address_to_bind(const struct family *family, struct address *out);

/* The endpoint, in the family's own words, that leads to the bound socket `fd`. */
void address_of_bound(const struct family *family, int fd, char endpoint[ENDPOINT_MAX]);

/* The path of a socket file, NULL if the address has none. */
const char *address_path(const struct address *address);

/* A stream socket (close-on-exec) for the address, with more socket(2) `flags`; -1 and errno. */
int address_socket(const struct address *address, int flags);

#endif
