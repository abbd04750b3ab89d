#include "relay/stream_inside.h"

#include <stdlib.h>

enum {
    MOST_CHUNKS = 4,    /* of a direction on their way: then it stops reading */
    EOF_GRACE = 50,     /* ms, see on_eof */
    UNSENT_PAUSE = 500, /* ms, see end_if_deserted */
};

/* Read into, then written from. */
struct chunk {
    uv_write_t request;
    struct way *way;
    size_t length;
    char bytes[STREAM_CHUNK];
};

static void release(struct stream_relay *relay)
{
    if (relay->over && relay->requests == 0)
        free(relay);
}

static void finish(struct stream_relay *relay, enum conn_end how, struct relay_end *end)
{
    const struct relay_owner *owner = relay->relay.owner;
    void *arg = relay->relay.arg;

    relay->over = true;
    for (int side = CLIENT; side <= TARGET; side++) {
        timer_clear(&relay->loop->timers, &relay->ways[side].grace);
        timer_clear(&relay->loop->timers, &relay->ways[side].later);
        stream_leave(&relay->ways[side], LIMIT_NOTHING);
        end->delivered[side] = relay->relay.delivered[side];
        end->lost[side] = relay->ways[side].lost;
        conn_close(relay->side[side], how);
    }
    release(relay);
    owner->done(arg, end);
}

static void fail(struct way *way, bool reading, int status)
{
    struct stream_relay *relay = way->relay;
    int side = (way == &relay->ways[CLIENT]) == reading ? CLIENT : TARGET;
    struct relay_end end;

    relay_end_broken(&end, relay->side[side], side, reading, status);
    finish(relay, CONN_RESET, &end);
}

static struct way *opposite(struct way *way)
{
    return &way->relay->ways[way == &way->relay->ways[CLIENT] ? TARGET : CLIENT];
}

static struct conn *source(struct way *way)
{
    return way->relay->side[way == &way->relay->ways[TARGET]];
}

static struct conn *sink(struct way *way)
{
    return source(opposite(way));
}

/* Its source has ended, is gone for good, and nothing is on its way to it: the relay is over once
 * what came from there has arrived, which nothing tells. Returns whether it is. */
static bool end_if_deserted(struct way *way)
{
    struct relay_end end = {.broken = false};

    if (!way->ended || opposite(way)->chunks > 0 || !conn_has_left(source(way)))
        return false;
    if (conn_has_unsent(sink(way))) {
        timer_set(&way->relay->loop->timers, &way->grace, UNSENT_PAUSE);
        return false;
    }
    finish(way->relay, CONN_CLOSE, &end);
    return true;
}

/* EOF has been passed on, as well as it can be. */
static void end_way(struct way *way)
{
    struct stream_relay *relay = way->relay;
    struct relay_end end = {.broken = false};

    way->ended = true;
    if (opposite(way)->ended)
        finish(relay, CONN_CLOSE, &end);
    else if (!end_if_deserted(way))
        relay->relay.owner->half_closed(relay->relay.arg, conn_knows_end(sink(way)));
}

/* How the EOF was told. A side that has ended itself may be gone, and nothing tells a pipe of bytes
 * of an end but being closed: then a source that is gone itself wants no answer, and that of one
 * which has only ended is waited for. */
static void eof_told(struct way *way, int status)
{
    if (status == UV_ENOTSUP)
        opposite(way)->ended |= conn_lost(source(way));
    else if (status != 0 && status != UV_EALREADY &&
             !(status == UV_ENOTCONN && opposite(way)->eof)) {
        fail(way, false, status);
        return;
    }
    end_way(way);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct way *way = request->data;
    struct stream_relay *relay = way->relay;

    relay->requests--;
    if (relay->over)
        release(relay);
    else
        eof_told(way, status);
}

/* Passes the EOF on, once all that came before it is delivered. */
static void pass_eof(struct way *way)
{
    struct way *back = opposite(way);
    int status;

    if (way->chunks > 0 || way->ended)
        return;
    if (back->reader != way->writer) {
        conn_close_writer(sink(way));
        end_way(way);
        return;
    }
    way->shutdown.data = way;
    status = conn_shut(sink(way), &way->shutdown, on_shutdown);
    if (status == 0)
        way->relay->requests++;
    else
        eof_told(way, status);
}

void stream_stop_reading(struct way *way)
{
    way->reading = false;
    conn_read_stop(source(way));
}

/* A side whose EOF has been read is reset after all, or closes for good. */
static void on_loss(struct conn *conn)
{
    struct way *way = conn->owner;
    int status = conn_pending_error(conn);

    if (status != 0)
        fail(way, true, status);
    else
        (void)end_if_deserted(way);
}

/* Writes that wait for a side that is gone may wait for ever. */
static void on_grace_over(struct timer *timer)
{
    struct way *way = list_entry(timer, struct way, grace);
    struct way *back = opposite(way);

    if (way->ended)
        (void)end_if_deserted(way);
    else if (back->chunks > 0 && conn_lost(source(way)))
        fail(back, false, UV_EPIPE);
    else
        pass_eof(way);
}

/* The kernel tells of a reset once, to whichever call comes first. Where that was a write whose
 * callback is still to come, this read was told of an EOF: so with writes to the same side on their
 * way, give them the time to say so before the EOF is believed. */
static void on_eof(struct way *way)
{
    struct conn *conn = source(way);
    int status;

    stream_stop_reading(way);
    if (conn_has_unread(conn)) {
        stream_go_on_reading(way);
        return;
    }
    status = conn_pending_error(conn);
    if (status != 0) {
        fail(way, true, status);
        return;
    }
    way->eof = true;
    stream_rest(way);
    conn->owner = way;
    conn_watch_loss(conn, on_loss);
    if (opposite(way)->chunks > 0)
        timer_set(&way->relay->loop->timers, &way->grace, EOF_GRACE);
    else
        pass_eof(way);
}

void stream_note_activity(struct stream_relay *relay)
{
    bool held_back = relay->ways[CLIENT].held_back || relay->ways[TARGET].held_back;

    relay->relay.active = held_back ? RELAY_HELD_BACK : uv_now(&relay->loop->uv);
}

static void delivered(struct way *way, size_t length)
{
    struct stream_relay *relay = way->relay;

    relay->relay.delivered[way == &relay->ways[TARGET] ? TARGET : CLIENT] += length;
    stream_note_activity(relay);
}

static void on_written(uv_write_t *request, int status)
{
    struct chunk *chunk = request->data;
    struct way *way = chunk->way;
    struct stream_relay *relay = way->relay;
    size_t length = chunk->length;

    free(chunk);
    relay->requests--;
    if (relay->over) {
        release(relay);
        return;
    }
    if (status != 0) {
        fail(way, false, status);
        return;
    }
    way->chunks--;
    way->lost -= length;
    delivered(way, length);
    if (!way->eof)
        stream_go_on_reading(way);
    else if (list_empty(&way->grace.link))
        pass_eof(way);
}

/* What can't be written at once goes on its way; the chunk belongs to the request then. */
static void send_rest(struct chunk *chunk, size_t from)
{
    struct way *way = chunk->way;
    uv_buf_t buffer = uv_buf_init(chunk->bytes + from, (unsigned)(chunk->length - from));
    int status;

    chunk->request.data = chunk;
    chunk->length -= from;
    way->lost += chunk->length;
    status = uv_write(&chunk->request, way->writer, &buffer, 1, on_written);
    if (status != 0) {
        free(chunk);
        fail(way, false, status);
        return;
    }
    way->relay->requests++;
    if (++way->chunks == MOST_CHUNKS)
        stream_stop_reading(way);
}

/* Written at once an error is known at once: see on_eof. */
static void send_chunk(struct chunk *chunk)
{
    struct way *way = chunk->way;
    uv_buf_t buffer = uv_buf_init(chunk->bytes, (unsigned)chunk->length);
    int count = way->chunks > 0 ? UV_EAGAIN : uv_try_write(way->writer, &buffer, 1);

    if (count < 0 && count != UV_EAGAIN && count != UV_ENOSYS) {
        way->lost += chunk->length;
        free(chunk);
        fail(way, false, count);
        return;
    }
    if (count > 0)
        delivered(way, (size_t)count);
    if (count > 0 && (size_t)count == chunk->length)
        free(chunk);
    else
        send_rest(chunk, count > 0 ? (size_t)count : 0);
}

static void on_read(uv_stream_t *reader, ssize_t count, const uv_buf_t *buffer)
{
    struct way *way = reader->data;
    struct chunk *chunk = buffer->base ? list_entry(buffer->base, struct chunk, bytes) : NULL;

    if (chunk && count > 0) {
        chunk->way = way;
        chunk->length = (size_t)count;
        stream_pay(way, (size_t)count);
        send_chunk(chunk);
        return;
    }
    free(chunk);
    if (count == UV_EOF || (count == UV_ENOTCONN && conn_has_ended(source(way))))
        on_eof(way);
    else if (count < 0)
        fail(way, true, (int)count);
}

/* No memory: libuv reports UV_ENOBUFS to on_read. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct chunk *chunk = malloc(sizeof *chunk); /* on_read gets it back */
    const struct way *way = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(chunk ? chunk->bytes : NULL, chunk ? (unsigned)way->most : 0);
    /* cppcheck-suppress memleak */
}

/* Returns 0, or why the side can't be read from any more. */
static int start_reading(struct way *way)
{
    int status;

    if (way->reading || (way->held_back && !list_empty(&way->later.link)))
        return 0;
    if (way->eof || way->chunks == MOST_CHUNKS) {
        stream_rest(way);
        return 0;
    }
    if (!stream_may_read(way))
        return 0;
    status = conn_read_start(source(way), on_alloc, on_read);
    way->reading = status == 0;
    return status;
}

void stream_go_on_reading(struct way *way)
{
    int status = start_reading(way);

    if (status != 0)
        fail(way, true, status);
}

static void abort_stream(struct relay *relay, const struct err *reason)
{
    struct relay_end end = {.broken = true, .reason = *reason};

    finish((struct stream_relay *)(void *)relay, CONN_RESET, &end);
}

static const struct relay_pump stream_pump = {abort_stream};

static void init_way(struct stream_relay *relay, const struct relay_plan *plan, int side,
                     uv_stream_t *reader, uv_stream_t *writer)
{
    struct way *way = &relay->ways[side];

    way->relay = relay;
    way->reader = reader;
    way->writer = writer;
    if (relay_is_limited(plan)) {
        way->limit = &relay->limits[side];
        relay_limit(way->limit, plan, side);
    }
    way->most = STREAM_CHUNK;
    reader->data = way;
    timer_init(&way->grace, on_grace_over);
    timer_init(&way->later, stream_on_later);
}

struct relay *stream_start(struct loop *loop, const struct relay_plan *plan, struct err *err)
{
    size_t limits = relay_is_limited(plan) ? 2 * sizeof(struct limit) : 0;
    struct stream_relay *relay = calloc(1, sizeof *relay + limits);
    uv_stream_t *reader[2], *writer[2];

    if (!relay) {
        err_system(err, UV_ENOMEM, "cannot start the relay");
        return NULL;
    }
    if (conn_streams(plan->client, &reader[CLIENT], &writer[CLIENT], err) != 0 ||
        conn_streams(plan->target, &reader[TARGET], &writer[TARGET], err) != 0) {
        free(relay);
        return NULL;
    }
    relay->relay = (struct relay){
        .pump = &stream_pump,
        .owner = plan->owner,
        .arg = plan->arg,
        .active = uv_now(&loop->uv),
    };
    relay->loop = loop;
    relay->side[CLIENT] = plan->client;
    relay->side[TARGET] = plan->target;
    init_way(relay, plan, CLIENT, reader[CLIENT], writer[TARGET]);
    init_way(relay, plan, TARGET, reader[TARGET], writer[CLIENT]);
    for (int side = CLIENT; side <= TARGET; side++) {
        if (reader[side] != writer[side]) { /* a writer that is lost is no event of its reader */
            relay->side[side]->owner = &relay->ways[side];
            conn_watch_loss(relay->side[side], on_loss);
        }
        if (start_reading(&relay->ways[side]) != 0) /* told from the loop, where it fails again */
            timer_set(&loop->timers, &relay->ways[side].later, 0);
    }
    return &relay->relay;
}
