/* A load: what runs over the connections through what is measured. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "pairs.h"
#include "samples.h"

enum direction { UP = 1, DOWN = 2, BOTH = 3 }; /* up: from the client to the server */

enum mode {
    IDLE,     /* connections that are open, and no more */
    BULK,     /* all the bytes that go through */
    PINGPONG, /* one message on each connection, there and back, again and again */
    BESIDE,   /* pingpong on the first connection, bulk on the others */
    CONNECT,  /* short connections: open, one message there and back, close */
};

struct plan {
    enum mode mode;
    enum direction direction; /* bulk */
    unsigned connections;     /* at one time */
    unsigned threads;         /* bulk: share the connections out among them */
    uint64_t ns;              /* how long to send */
    uint64_t bytes;           /* bulk: the most that each end sends */
    size_t size;              /* pingpong, connect: of a message */
    unsigned count;           /* connect: how many in all */
};

struct load {
    struct plan plan;
    int listener;
    struct where target; /* to connect to, in order to reach the listener */
    struct pair *pairs;  /* all modes but CONNECT */

    /* The results of the last run. */
    uint64_t ns;
    uint64_t bytes;
    struct samples samples;
};

/* Connects. */
void load_open(struct load *load);

/* Runs it; `part`: for this part of the plan's time and count. Returns once every byte that was
 * sent has arrived. Any difference ends the program. */
void load_run(struct load *load, double part);

/* Writes the results as a JSON object. */
void load_print(const struct load *load);

/* The modes. Each returns the bytes that arrived and adds the duration of each round; those that
 * take pairs run on the given connections only. */
uint64_t bulk_run(struct pair *pairs, unsigned count, const struct plan *plan);
uint64_t bulk_run_threads(struct pair *pairs, unsigned count, const struct plan *plan);
uint64_t pingpong_run(struct pair *pairs, unsigned count, const struct plan *plan,
                      struct samples *samples);
uint64_t beside_run(struct pair *pairs, unsigned count, const struct plan *plan,
                    struct samples *samples);
uint64_t connect_run(int listener, const struct where *target, const struct plan *plan,
                     struct samples *samples);

/* Proves that a relay that loses or repeats a byte is noticed. Returns the exit code. */
int self_check(void);

#endif
