/* Connections through what is measured, with both of their ends here: the end that connected and
 * the end that was accepted for it. */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include "net.h"

enum { CLIENT, SERVER };

/* One end of a connection. What it receives is what the other end sent, not a byte more or less. */
struct end {
    struct end *other;
    int fd;
    uint64_t sent, received;
    bool server;
    bool stopped;  /* bulk: it sends no more */
    uint64_t mark; /* bulk: what it had sent before this run; pingpong: when the round began, ns */
};

struct pair {
    struct end end[2]; /* CLIENT, SERVER */
};

/* Opens `count` connections, whose ends know each other. The caller frees. */
struct pair *pairs_open(int listener, const struct where *target, unsigned count);
void pairs_close(struct pair *pairs, unsigned count);

/* Counts bytes that an end has received; more than were sent end the program. */
void end_received(struct end *end, size_t count);

/* True once all that both sent has arrived. */
bool pair_is_even(const struct pair *pair);

/* Ends the program where a run stands still. */
_Noreturn void die_of_silence(const struct pair *pairs, unsigned count);

#endif
