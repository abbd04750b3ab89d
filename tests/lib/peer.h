/* The two ends a relay stands between: clients that connect to it, targets that it dials.
 *
 * Every call returns at once or under a deadline. Peers are kept in a list, so that a test that
 * failed half-way leaves none behind (peers_close_all). One thread only. */
#ifndef TESTS_LIB_PEER_H
#define TESTS_LIB_PEER_H

#include "family.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;
struct listener;

/* What peer_recv and peer_send say instead of a number of bytes. */
enum { PEER_LATER = 0, PEER_EOF = -1, PEER_RESET = -2 };

/* Connects to a relay's listening endpoint (numeric addresses; `any` means this machine). NULL: no
 * connection within `timeout_ms`; peer_error tells why, and peer_timed_out whether it was for want
 * of an answer. */
struct peer *peer_connect(const char *endpoint, uint64_t timeout_ms);
const char *peer_error(void);
bool peer_timed_out(void);

/* Reads at most `len` (> 0) bytes: their number, PEER_LATER, PEER_EOF or PEER_RESET. */
long peer_recv(struct peer *peer, void *buf, size_t len);

/* Writes at most `len` (> 0) bytes: their number, PEER_LATER, or PEER_RESET when the connection no
 * longer takes any. */
long peer_send(struct peer *peer, const void *buf, size_t len);

/* As peer_send. Where the family has urgent data (MSG_OOB) the last byte is urgent. */
long peer_send_urgent(struct peer *peer, const void *buf, size_t len);

/* Ends the sending direction; receiving goes on. */
void peer_end_sending(struct peer *peer);

/* Breaks the connection and frees the peer: tcp sends a reset; unix tells of one if there is unread
 * data, which is the caller's part; a family that knows no reset just closes. */
void peer_abort(struct peer *peer);

/* Closes and frees. NULL is allowed. */
void peer_close(struct peer *peer);
void peers_close_all(void);

/* Something to wait for. The can_ fields are set by peers_wait; a peer whose connection has ended
 * or broken can do everything that was wanted of it. */
struct peer_want {
    struct peer *peer;
    bool read, write;
    bool can_read, can_write;
};

/* Waits until one of the wants can be met; returns how many can, 0 when `timeout_ms` have passed.
 */
size_t peers_wait(struct peer_want *wants, size_t n, uint64_t timeout_ms);

/* How a target treats the relay that dials it. */
enum listener_kind {
    LISTENER_ACCEPTING, /* a long backlog; listener_accept takes from it */
    LISTENER_REFUSING,  /* the address is taken, but nobody listens */
    LISTENER_SILENT /* the backlog is full and stays so: no answer, or what the family does then */
};

/* Opens a target and never fails (it ends the test instead). */
struct listener *listener_open(const struct family *family, enum listener_kind kind);

/* The endpoint for the relay to connect to; lives as long as the listener. */
const char *listener_endpoint(const struct listener *listener);

/* NULL: nobody came within `timeout_ms` (0: nobody is there now). */
struct peer *listener_accept(struct listener *listener, uint64_t timeout_ms);

/* Closes and frees. NULL is allowed. */
void listener_close(struct listener *listener);

#endif
