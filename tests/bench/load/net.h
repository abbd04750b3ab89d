/* Sockets of the load: non-blocking, named by endpoints as in hvrelay's configuration. Whatever
 * fails here ends the program, with the reason: a load that does not run as asked measures nothing.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum { ENDPOINT_TEXT = 128 };

/* ms without any progress after which a run has failed. */
extern int patience;

struct where {
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
        struct sockaddr_storage any;
    } address;
    socklen_t length;
};

/* Prints a message as printf does and exits with 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* tcp:127.0.0.1:PORT, unix:/PATH or vsock:CID:PORT (in a guest of tests/guest only). */
struct where where_parse(const char *text);

/* Listens; port 0 of TCP, or ports that the system chooses otherwise, are filled in. */
int net_listen(struct where *where);

void where_format(const struct where *where, char out[ENDPOINT_TEXT]);

/* Begins to connect; it is done, or has failed (net_check), once the socket is writable. */
int net_connect(const struct where *where);
void net_check(int fd);

/* The next client, or -1 where none waits. */
int net_accept(int listener);

/* As send and recv: the bytes moved, 0 where none can be now. An end of file and an error end the
 * program. net_discard throws away what it reads: TCP can do that inside the kernel, which
 * leaves the processor to what is measured (tcp(7), MSG_TRUNC). */
size_t net_send(int fd, const void *bytes, size_t length);
size_t net_receive(int fd, void *bytes, size_t length);
size_t net_discard(int fd);

/* As net_receive, for those who may be left: -1 at the end of file or a reset. */
ssize_t net_try_receive(int fd, void *bytes, size_t length);

uint64_t now_ns(void);

#endif
