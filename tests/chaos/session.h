/* One session of a scenario: a client and a target that each follow a plan of their own, and the
 * oracle, which knows at every moment which bytes may have arrived and how they may have ended.
 *
 * The oracle's rules, for a receiver and the sender on the other side:
 * - every byte is the sender's next one, and none comes before it was sent;
 * - a clean end of file comes only after the sender's own end, and after every byte before it. Only
 *   where the receiver's family has no resets, and something broke the session, may an end of file
 *   stand for the break;
 * - a reset comes only where something broke the session: a peer, or what the scenario did. */
#ifndef CHAOS_SESSION_H
#define CHAOS_SESSION_H

#include "../lib/family.h"
#include "../lib/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With so many bytes of its stream a connection tells which session it belongs to. */
#define HELLO 23

#define NEVER UINT64_MAX

enum { CLIENT, TARGET };

/* What an end does once its bytes are sent. */
enum finish {
    FINISH_END,   /* ends its sending, and closes once the other side has ended */
    FINISH_CLOSE, /* closes, whatever is still on its way to it */
    FINISH_STALL  /* nothing, until the other side has ended */
};

struct end_plan {
    uint64_t size;
    enum finish finish;
    size_t write_max, read_max;       /* sizes are random up to these */
    unsigned pause_chance, pause_max; /* of 256, after each move; steps */
    unsigned urgent_chance;           /* of 256, that the last byte of a write is urgent */
    uint64_t first_read;              /* the step from which on it reads */
    /* It breaks the connection once it has sent or received so many bytes, or in that step. */
    uint64_t abort_sent, abort_received, abort_step;
    uint64_t abort_after_end; /* so many steps after it has ended its sending */
};

/* How the receiving direction of an end has ended. */
enum came { CAME_NOTHING, CAME_EOF, CAME_RESET };

struct end {
    const struct family *family;
    struct peer *peer; /* NULL: not there yet, or gone */
    struct end_plan plan;
    uint32_t stream; /* what it sends */
    uint64_t random, sent, received;
    unsigned pause; /* steps */
    enum came came;
    bool ended;   /* it has ended its sending */
    bool closed;  /* it has left without waiting for the other side */
    bool aborted; /* it has broken the connection */
};

enum { HISTORY_LINES = 48, HISTORY_WIDTH = 72 };

struct session {
    unsigned number;
    const char *lane;
    struct end end[2];
    uint64_t started;      /* step */
    const char *breakable; /* what the scenario did that may break it; NULL: nothing */
    bool opening;          /* its target has not been seen yet */
    bool over;
    unsigned told; /* lines of history, the last of which are kept */
    char history[HISTORY_LINES][HISTORY_WIDTH];
};

/* Of all sessions of a run. */
struct session_totals {
    uint64_t bytes, sessions, ends_of_file, resets, aborts;
};
extern struct session_totals session_totals;

/* The session's client is connected, and both plans are made. */
void session_init(struct session *session, unsigned number, const char *lane, uint64_t step,
                  struct peer *client, const struct end_plan plans[2], const struct family *front,
                  const struct family *back);

/* Does all that an end wants to do without waiting. What it wants to wait for goes to *want, whose
 * peer is NULL for nothing. Returns whether anything has moved. */
bool session_prepare(struct session *session, int side, uint64_t step, struct peer_want *want);

/* Does what the wait has made possible. Returns whether anything has moved. */
bool session_act(struct session *session, int side, const struct peer_want *want);

/* The target has been found: `received` bytes of the client's stream have been checked there. */
void session_meet(struct session *session, struct peer *target, uint64_t received, uint64_t step);

/* Why an end of file at `side` after `received` bytes would be wrong now; NULL: it is right. */
const char *session_eof_fault(const struct session *session, int side, uint64_t received);

/* May anything break it? */
bool session_may_break(const struct session *session);

/* Closes what is open. */
void session_drop(struct session *session);

void session_note(struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void session_print(const struct session *session);

/* Ends the run: prints the message, the session's history (NULL: none), and what main.c adds. */
void chaos_fail(const struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
