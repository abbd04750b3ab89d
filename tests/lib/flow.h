/* Moving verified bytes from one peer to another through the relay, any number of flows at once. */
#ifndef TESTS_LIB_FLOW_H
#define TESTS_LIB_FLOW_H

#include "peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

#define FLOWS_MAX      1200
#define FLOW_WRITE_MAX (256 * KIB)

/* What the sender does after its last byte. */
enum flow_end {
    FLOW_STAYS, /* nothing: the flow is done when all has arrived */
    FLOW_ENDS,  /* ends its sending; done when the receiver has seen the end of file too */
    FLOW_CLOSES /* closes and forgets the peer; done as above */
};

struct flow {
    const char *name; /* for messages, such as "client -> target" */
    struct peer *from, *to;
    uint64_t size; /* bytes to move */
    enum flow_end end;
    size_t write_max;      /* largest single write, at most FLOW_WRITE_MAX */
    uint64_t write_random; /* not 0: write sizes are random in 1..write_max, starting from this */
    bool urgent;           /* the last byte of each write is, where the family knows of that */
    bool lockstep;         /* a write waits until the one before has arrived */
    bool background;       /* flows_run does not wait for it */

    /* Set by flow_make, moved on by flows_run. */
    uint32_t stream;
    uint64_t sent, received;
    bool sender_done, receiver_done;
};

/* A flow of `size` bytes of a stream of its own, in writes of 256 KiB, that FLOW_STAYS. */
struct flow flow_make(const char *name, struct peer *from, struct peer *to, uint64_t size);

/* Runs until every flow that is not in the background is done. Ends the test with a message when a
 * byte is wrong, missing or too much, a connection ends early or late, or nothing has moved for
 * PATIENCE_MS. */
void flows_run(struct flow *flows, size_t n);

/* Sends and does not receive until the sender is stuck for `quiet_ms`, or `limit` bytes are sent.
 * Returns flow->sent. */
uint64_t flow_push(struct flow *flow, uint64_t limit, uint64_t quiet_ms);

/* Receives at most `most` bytes of what is there, without waiting, and does not send. Returns
 * flow->received. */
uint64_t flow_take(struct flow *flow, size_t most);

/* One flow of `size` bytes, run to its end. */
void flow_move(const char *name, struct peer *from, struct peer *to, uint64_t size,
               enum flow_end end);

/* Gives a flow `more` bytes to move. */
void flow_extend(struct flow *flow, uint64_t more);

/* Receives what still comes of the flow, without sending, until the connection ends: PEER_EOF or
 * PEER_RESET. What has come is a right beginning of the stream, flow->received bytes. */
long flow_drain(struct flow *flow);

#endif
