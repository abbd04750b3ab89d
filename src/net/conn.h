/* A connected stream with one owner, of any family.
 *
 * A conn is embedded in its owner and belongs to its loop's thread. What is inside is the system's
 * business (conn_os.h); the portable part of the program uses only what stands here. */
#ifndef HVRELAY_NET_CONN_H
#define HVRELAY_NET_CONN_H

#include "net/endpoint.h"
#include "net/loop.h"
#include "net/sock_options.h"

#include "conn_os.h" /* struct conn; struct incoming: an accepted stream on its way to one */

/* A conn that holds nothing; closing it is harmless. */
void conn_init(struct conn *conn);

bool conn_is_open(const struct conn *conn);

/* Takes over what an acceptor has accepted. Returns 0, or a libuv error number and the stream is
 * reset. */
int conn_adopt(struct conn *conn, struct loop *loop, const struct incoming *incoming);

/* Moves what a connector has opened, and nobody has used yet, to an empty conn. `from` is empty
 * then. Returns 0, or a libuv error number and the stream is reset. */
int conn_move(struct conn *to, struct conn *from);

/* Resets what an acceptor has accepted and nobody wants. */
void incoming_refuse(const struct incoming *incoming);

/* Opens the one stream that `stdio` or `fd:N` is, with the options where it is a socket. It can be
 * had once. Returns 0 or -1. */
int conn_open_single(struct conn *conn, struct loop *loop, const struct endpoint *endpoint,
                     const struct sock_options *options, struct err *err);

/* Calls `ready` from the loop whenever conn_lost or conn_pending_error may have changed: until the
 * conn is closed or given to a pump, or, after conn_streams, until it is closed. `owner` of the
 * conn is the caller's to set. Systems that cannot see it never call. */
void conn_watch_loss(struct conn *conn, void (*ready)(struct conn *conn));

/* True where the peer has reset the stream, or has closed it for good and left nothing to deliver
 * (where the system can tell that from a half-close). */
bool conn_lost(struct conn *conn);

/* The peer's EOF has been read: true where it has closed the other half too, so that nothing can be
 * delivered to it any more. TCP can't tell that from a half-close. */
bool conn_has_left(struct conn *conn);

/* The write half has been ended: true while the peer's system has not got all of it. If the conn is
 * closed now, an answer of the peer makes TCP reset the stream, and that rest is lost. */
bool conn_has_unsent(struct conn *conn);

/* True where the peer has ended its half, has sent nothing, and nobody can tell whether it still
 * waits for an answer: TCP. */
bool conn_may_have_left(struct conn *conn);

/* A read has failed with ENOTCONN: true where that is just how the peer's end is told. */
bool conn_has_ended(struct conn *conn);

/* What libuv told as EOF may not be one, for it takes a hang-up after a short read for it without
 * asking (uv__stream_io). True where there are bytes left: reading is started again then. */
bool conn_has_unread(struct conn *conn);

/* And the error that the system still holds for the stream, a libuv error number, or 0; asking
 * clears it. */
int conn_pending_error(struct conn *conn);

/* The stream as libuv streams, for the portable pump: made at the first call. They are the same
 * one, but for stdio. The conn stays their owner. Returns 0, or -1 where libuv can't drive this
 * descriptor. */
int conn_streams(struct conn *conn, uv_stream_t **reader, uv_stream_t **writer, struct err *err);

/* In place of uv_read_start and uv_read_stop on the reader of conn_streams: that one direction of a
 * named pipe has ended, which libuv does not know, is an EOF too. Starting returns 0, or a libuv
 * error number: the peer may have reset the stream already. */
int conn_read_start(struct conn *conn, uv_alloc_cb alloc, uv_read_cb read);
void conn_read_stop(struct conn *conn);

/* In place of uv_shutdown on the writer, once all writes are done. UV_ENOTSUP where nothing tells
 * the peer that one direction has ended but being closed: a named pipe of bytes. UV_EALREADY where
 * the peer has closed the pipe. */
int conn_shut(struct conn *conn, uv_shutdown_t *request, uv_shutdown_cb done);

/* False where the peer may not learn that what is sent to it has ended: a named pipe of bytes, or
 * one whose other end need not know that an empty message says so. */
bool conn_knows_end(const struct conn *conn);

/* Ends the write half of a conn whose writer is a stream of its own. Of all others, conn_shut does
 * it. */
void conn_close_writer(struct conn *conn);

enum conn_end {
    CONN_CLOSE, /* all that was written is delivered, then the stream ends */
    CONN_RESET, /* the peer sees a broken stream where the family can express it */
};

/* Gives everything back, at once as seen by the owner: no callback comes any more. */
void conn_close(struct conn *conn, enum conn_end how);

#endif
