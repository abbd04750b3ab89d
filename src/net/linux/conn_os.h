/* A connected stream on Linux: non-blocking descriptors in the loop's epoll, registered once for
 * both directions, edge triggered. The events are kept here as flags: a pump works while they are
 * set and clears them when the kernel says EAGAIN. */
#ifndef HVRELAY_NET_LINUX_CONN_OS_H
#define HVRELAY_NET_LINUX_CONN_OS_H

#include "net/loop.h"

#include <sys/types.h>

struct conn_streams;

struct conn {
    struct watch watch;
    struct loop *loop;
    void (*ready)(struct conn *conn); /* after each event */
    void *owner;                      /* whose `ready` this is */
    struct conn_streams *streams;     /* once the portable pump has it */
    int rfd, wfd;                     /* the same, but for stdio; -1 where closed */
    uint8_t family;    /* enum family, after translation: vsock for a hyperv endpoint */
    bool readable : 1; /* since the last EAGAIN; so is writable */
    bool writable : 1;
    bool hangup : 1;      /* the peer has ended its write half: reads go on to EOF */
    bool failed : 1;      /* EPOLLERR was seen */
    bool closed : 1;      /* EPOLLHUP was seen: both halves are over */
    bool socket : 1;      /* not a pipe, terminal or file */
    bool stops_short : 1; /* a short read does not mean that nothing is left */
    bool urgent : 1;      /* urgent data came: a read stops there, and splice never goes on */
    bool pollable : 1;    /* not a regular file: those are always ready */
    bool shared : 1; /* others may hold it open too: closing it does not take it out of epoll */
    bool half : 1;   /* its writer, a descriptor of its own, is closed */
};

struct incoming {
    int rfd, wfd; /* open and non-blocking */
    enum family family;
    bool inherited; /* whoever started the program may hold it open too */
};

/* Takes over open, non-blocking descriptors, which are closed with the conn, and registers them
 * with the loop. Returns 0, or a libuv error number and nothing taken. */
int conn_open(struct conn *conn, struct loop *loop, int rfd, int wfd, enum family family);

/* The descriptor that is read from, whoever drives it now; -1 where closed. */
int conn_fd(const struct conn *conn);

/* As read and write on a non-blocking descriptor: bytes, or -errno. EAGAIN clears the flag, and so
 * does a short read where it proves that nothing is left. */
ssize_t conn_read(struct conn *conn, void *buffer, size_t size);
ssize_t conn_write(struct conn *conn, const void *buffer, size_t size);

/* Ends the write half. Returns 0 or -errno. */
int conn_shutdown(struct conn *conn);

/* The pending error of a socket as -errno, or 0; reading it clears it in the kernel. */
int conn_take_error(struct conn *conn);

/* Clears "readable" after a read that found nothing. A regular file stays readable. */
void conn_drained(struct conn *conn);

#endif
