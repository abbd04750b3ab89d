/* The conformance suite: the same cases for every pump and every pair of families.
 *
 * A suite is one pump between one pair of families: a relay process with a forward for each need of
 * the cases, and the targets behind it. It lives through all its cases; only after a case that
 * failed is it built anew, so that one failure does not spoil the next case. */
#ifndef CONFORMANCE_SUITE_H
#define CONFORMANCE_SUITE_H

#include "../lib/check.h"
#include "../lib/clock.h"
#include "../lib/family.h"
#include "../lib/flow.h"
#include "../lib/os.h"
#include "../lib/peer.h"
#include "../lib/relay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much more memory than the relay itself uses is allowed for (CMakeLists.txt). */
#ifndef RESIDENT_FACTOR
#define RESIDENT_FACTOR 1
#endif

/* The forwards of the suite's relay. All but REFUSED and SILENT lead to suite->target. */
enum forward {
    PLAIN,     /* defaults */
    BUFFERED,  /* small socket buffers, where the system would let them grow by megabytes */
    LIMITED,   /* max_sessions = LIMIT */
    HALF_TIME, /* half_close_timeout = HALF_TIME_MS */
    IDLE_TIME, /* idle_timeout = IDLE_TIME_MS */
    REFUSED,   /* the target refuses */
    SILENT,    /* the target never answers; connect_timeout = CONNECT_TIME_MS,
                  max_sessions = SILENT_LIMIT */
    FORWARDS
};

#define LIMIT           3
#define SILENT_LIMIT    8
#define HALF_TIME_MS    200
#define IDLE_TIME_MS    300
#define CONNECT_TIME_MS 250

struct session {
    struct peer *client, *target;
};

struct suite {
    const char *program, *pump;
    const struct family *front, *back;
    unsigned workers;
    double scale;  /* of the amounts of data and the numbers of sessions */
    uint64_t seed; /* of what is random */

    struct relay *relay;
    const char *endpoints[FORWARDS]; /* where clients connect to */
    struct listener *target, *refusing, *silent;

    struct session bystander; /* stands beside the current case, which is to leave it alone */
    uint64_t bystander_bytes; /* that it has moved, each way */

    struct os_descriptors descriptors_at_start;
    size_t resident_at_start;
    struct relay *extra; /* a further relay of the current case */
    size_t log_mark;     /* where the log of the current case begins */
    bool passed;         /* the current case came to its end */
    bool unstartable;    /* the relay did not come up: the other cases need not try */
    bool first;          /* nothing is run after a failure ... */
    bool given_up;       /* ... and there was one */
};

void suite_start(struct suite *suite);
void suite_stop(struct suite *suite);

/* One more relay with one forward to suite->target, named `plain`. `globals`: lines for its
 * [hvrelay] section, may be "". It is kept in suite->extra and freed at the end of the case. */
struct relay *suite_extra_relay(struct suite *suite, const char *globals);

/* `n` scaled, but at least `least`. */
uint64_t suite_scaled(const struct suite *suite, uint64_t n, uint64_t least);

/* Sends away whoever waits at suite->target. */
void suite_clear_targets(const struct suite *suite);

/* Connects a client to a forward. */
struct peer *client_open(const struct suite *suite, enum forward forward);

/* A client that will not be alone says who it is, and its target hears it: the relay may serve
 * clients in any order. `number` is below a thousand. */
void client_introduce(struct peer *client, unsigned number);
unsigned target_introduced(struct peer *target);

/* Takes the next connection that the relay makes to suite->target. */
struct peer *target_accept(const struct suite *suite);

/* Ends the test if someone reaches suite->target now or shortly. */
void expect_no_target(const struct suite *suite);

/* Opens a session; none other may be on its way to the target. */
struct session session_open(const struct suite *suite, enum forward forward);
void session_close(struct session *session);

/* Sends `size` bytes to the target, and as many back. */
void session_echo(struct session *session, uint64_t size);

/* The bystander is a session of PLAIN. It is there as a case begins, and as it ends: then it must
 * still work, and the log must call it done with the right totals. A case may ask in between. */
void bystander_open(struct suite *suite);
void bystander_works(struct suite *suite);
void bystander_close(struct suite *suite);

/* Ends the test unless LIMITED lets in LIMIT clients, and no more: each place was given back.
 * Clients that have vanished may still be in line. */
void expect_places(struct suite *suite);

/* Ends the test unless the relay has ended the connection of `peer`, whose receiving side may have
 * ended long before. */
void expect_gone(const char *name, struct peer *peer);

/* Ends the test unless the relay's log of this case has a line with all of the words. */
void expect_log(const struct suite *suite, const char *const *words);

/* Ends the test unless the log has a session of PLAIN that is done, with these totals. */
void expect_log_done(const struct suite *suite, uint64_t up, uint64_t down);

/* The most descriptors of pipes that the relay has while it does not use any: each worker keeps a
 * few ready. */
int pipes_at_rest(const struct suite *suite);

/* How the relay's descriptors and memory stand. */
struct os_descriptors descriptors_now(const struct suite *suite);
size_t resident_now(const struct suite *suite);

/* Waits until the relay has `sockets` sockets open; ends the test when it does not come to that. */
void expect_sockets(const struct suite *suite, int sockets);

/* Sends away whoever comes to suite->target until the relay has `sockets` sockets open, and no more
 * other descriptors than at its start but libuv's spare, once for each loop, and the pipes at rest.
 */
void expect_settled(const struct suite *suite, int sockets);

/* Closes what is open and waits until the relay has no session left. */
void expect_quiet(const struct suite *suite);

/* Ends the case as skipped and prints why. */
void skip_because(struct suite *suite, const char *reason);

#endif
