/* What `hvrelay selftest` does over this machine's own VM sockets. */
#ifndef HVRELAY_CLI_SELFTEST_H
#define HVRELAY_CLI_SELFTEST_H

#include "net/listener.h"

/* The machine itself as its VM sockets name it, without the port: "vsock:local". */
extern const char selftest_machine[];

/* What the system calls itself, in a line for people. */
void selftest_system(char *out, size_t size);

enum selftest_end {
    SELFTEST_STAYS, /* the client closes once all has come back */
    SELFTEST_ENDS,  /* it ends its half, and gets a farewell through the other half after that */
};

/* Connects to the listener, which is served meanwhile, sends `size` bytes and gets the same ones
 * back. Blocks for at most a minute. Returns 0, or -1 and what went wrong. */
int selftest_exchange(struct listener *listener, uint64_t size, enum selftest_end end,
                      struct err *err);

/* Connects where nobody listens. Returns 0 where that fails, `answer` being how, or -1. */
int selftest_refusal(const struct endpoint *nobody, struct err *answer, struct err *err);

#endif
