/* What libuv does not do of a connected named pipe: it takes no notice of empty messages, which are
 * how one direction of a pipe of messages ends (the convention of go-winio, thus of Docker and
 * Podman), and closes a pipe whose write half was shut as soon as it is quiet. So reading and
 * shutting are done here; libuv goes on writing. */
#ifndef HVRELAY_NET_WINDOWS_NPIPE_STREAM_H
#define HVRELAY_NET_WINDOWS_NPIPE_STREAM_H

#include "net/loop.h"

struct npipe_reader;

/* Reads for that stream, of which libuv must not read, until it is closed. Returns 0, or a libuv
 * error number. */
int npipe_reader_open(struct loop *loop, uv_stream_t *stream, struct npipe_reader **out);

/* As uv_read_start and uv_read_stop. `read` may close the reader. */
void npipe_reader_start(struct npipe_reader *reader, uv_alloc_cb alloc, uv_read_cb read);
void npipe_reader_stop(struct npipe_reader *reader);

/* The peer has closed the pipe: it reads no more either. */
bool npipe_reader_is_lost(const struct npipe_reader *reader);

/* To be called before the stream is closed. */
void npipe_reader_close(struct npipe_reader *reader);

/* As uv_shutdown, once all writes are done: waits until the peer has read them, then sends the
 * empty message. UV_ENOTSUP where the pipe carries bytes. */
int npipe_shut(struct loop *loop, uv_stream_t *stream, uv_shutdown_t *request, uv_shutdown_cb done);

/* True where the program that made the pipe is the other one, and made it one of messages. */
bool npipe_knows_end(const uv_stream_t *stream);

#endif
