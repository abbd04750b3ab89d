/* One direction of a relay on Linux: reads from one conn, writes to the other.
 *
 * Small traffic goes through the worker's buffer with recv and send. A direction whose reads keep
 * filling that buffer is bulk: it takes a pipe from the pool and splices, until it turns small
 * again or waits. Both paths are never mixed: what one has read it delivers before the other is
 * used. What the receiver does not take is held here (a copy of the rest, or the pipe), and nothing
 * is read until it is gone: that bounds a direction's memory. */
#ifndef HVRELAY_RELAY_LINUX_FLOW_H
#define HVRELAY_RELAY_LINUX_FLOW_H

#include "net/conn.h"
#include "pipe.h"
#include "relay/relay.h"

struct pumps {
    struct loop *loop;
    struct pipe_pool pool;
    unsigned char *buffer; /* BUFFER_SIZE bytes, in use only during one call */
};

enum { BUFFER_SIZE = 256 * 1024 };

struct flow {
    struct conn *from, *to;
    uint64_t *delivered;     /* the relay's count for this direction */
    struct limit *limit;     /* NULL: none */
    struct pipe *pipe;       /* while splicing */
    struct held *held;       /* read by copy, not yet written */
    uint32_t wait;           /* ms, after FLOW_LATER */
    uint8_t pump;            /* enum pump */
    uint8_t streak;          /* reads in a row that speak against `bulk` */
    bool splice_refused : 1; /* this kernel does not splice this pair */
    bool bulk : 1;           /* its reads keep filling the buffer */
    bool eof : 1;            /* read, and to be passed on once all is delivered */
    bool ended : 1;          /* and passed on */
};

enum flow_state {
    FLOW_WAITS,  /* for an event on either side */
    FLOW_MORE,   /* its turn is over, but there is more to do */
    FLOW_LATER,  /* it has used its bandwidth: see `wait` */
    FLOW_ENDED,  /* EOF has been passed on */
    FLOW_BROKEN, /* see the fault */
};

struct flow_fault {
    struct conn *side; /* the conn that failed */
    int error;         /* a negative errno */
    bool reading;      /* it was read from, not written to */
};

void flow_init(struct flow *flow, struct conn *from, struct conn *to, enum pump pump,
               uint64_t *delivered);

/* Moves what can be moved without waiting, up to one turn's share. */
enum flow_state flow_run(struct flow *flow, struct pumps *pumps, struct flow_fault *fault);

/* The last that can be done for a direction whose source has failed: delivers what is there, and
 * passes on no EOF, for there is none. */
void flow_drain(struct flow *flow, struct pumps *pumps);

/* Bytes that were read and not delivered. */
uint64_t flow_pending(const struct flow *flow);

/* Gives back what it holds. */
void flow_close(struct flow *flow, struct pumps *pumps);

#endif
