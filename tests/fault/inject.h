/* What the driver and the interposed library share: a file that both have mapped. */
#ifndef FAULT_INJECT_H
#define FAULT_INJECT_H

#include <stdatomic.h>
#include <stdbool.h>

/* The environment variable that names the file. */
#define INJECT_FILE "HVRELAY_INJECT_FILE"

/* The calls that can fail. */
#define INJECT_CALLS(X)                                                                            \
    X(accept4)                                                                                     \
    X(bind)                                                                                        \
    X(calloc)                                                                                      \
    X(chmod)                                                                                       \
    X(connect)                                                                                     \
    X(epoll_create1)                                                                               \
    X(epoll_ctl)                                                                                   \
    X(epoll_wait)                                                                                  \
    X(eventfd)                                                                                     \
    X(fchownat)                                                                                    \
    X(fcntl)                                                                                       \
    X(flock)                                                                                       \
    X(fopen)                                                                                       \
    X(getsockname)                                                                                 \
    X(getsockopt)                                                                                  \
    X(listen)                                                                                      \
    X(malloc)                                                                                      \
    X(open)                                                                                        \
    X(pipe2)                                                                                       \
    X(pthread_create)                                                                              \
    X(read)                                                                                        \
    X(realloc)                                                                                     \
    X(recv)                                                                                        \
    X(send)                                                                                        \
    X(shutdown)                                                                                    \
    X(socket)                                                                                      \
    X(splice)                                                                                      \
    X(write)

enum inject_call {
#define INJECT_ENUM(name) INJECT_##name,
    INJECT_CALLS(INJECT_ENUM)
#undef INJECT_ENUM
        INJECT_COUNT
};

/* In place of a call: any of those that a reload makes and that can fail, on the main thread. */
enum { INJECT_ANY = -2 };

struct inject {
    atomic_bool armed;             /* nothing is counted and nothing fails before */
    int call, error;               /* what fails, and how (an errno) */
    bool starting;                 /* what libuv registers with epoll for itself is spared */
    int from, count;               /* the from-th call (1: the first) is the first of `count` */
    atomic_int hits;               /* that have failed */
    atomic_int seen_any;           /* calls that INJECT_ANY stands for */
    atomic_int seen[INJECT_COUNT]; /* calls of each kind */
};

#endif
