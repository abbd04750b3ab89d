/* What the files of the portable pump share: stream.c moves the bytes, stream_limit.c asks for the
 * bandwidth of each read. All of it runs on the thread of the relay's loop. */
#ifndef HVRELAY_RELAY_STREAM_INSIDE_H
#define HVRELAY_RELAY_STREAM_INSIDE_H

#include "relay/limit.h"
#include "relay/stream.h"

enum {
    STREAM_CHUNK = 64 * 1024, /* bytes: the most that one read takes */
};

/* One direction. */
struct way {
    struct stream_relay *relay;
    uv_stream_t *reader, *writer;
    uv_shutdown_t shutdown;
    struct timer grace;
    struct limit *limit; /* NULL: none */
    struct timer later;  /* waits for bandwidth, or is about to leave what it does not use */
    size_t most;         /* bytes the next read may take */
    uint64_t lost;       /* bytes in chunks on their way */
    int chunks;          /* on their way to the writer */
    bool reading, eof, ended;
    bool held_back; /* waits for bandwidth */
};

struct stream_relay {
    struct relay relay;
    struct loop *loop;
    struct conn *side[2];
    struct way ways[2];    /* by the side they come from */
    int requests;          /* writes and shutdowns whose callback is still to come */
    bool over;             /* the owner has been told: only those callbacks keep this alive */
    struct limit limits[]; /* where there are any: of both ways */
};

/* In stream.c. The first reports a failure by ending the relay. */
void stream_go_on_reading(struct way *way);
void stream_stop_reading(struct way *way);

/* A byte has passed, or a way has begun or stopped to wait for bandwidth: which is not idle. */
void stream_note_activity(struct stream_relay *relay);

/* Asks for the next read's bytes, and sets way->most. Returns false if there are none before the
 * timer `later`. */
bool stream_may_read(struct way *way);

/* So many bytes have been read. Stops reading if there is no bandwidth for more. */
void stream_pay(struct way *way, size_t count);

/* Nothing more is read until something was written, or ever. */
void stream_rest(struct way *way);

/* Others may have the bandwidth that was granted. */
void stream_leave(struct way *way, enum limit_rest rest);

/* What `later` calls: there may be bandwidth, or some that is not used. */
void stream_on_later(struct timer *timer);

#endif
