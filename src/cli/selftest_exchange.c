/* Both ends of a stream in one loop: a client that sends and checks, a server that echoes. */

#include "cli/selftest.h"

#include "net/dial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 64 * 1024,
    PATIENCE = 60000,        /* ms for a whole exchange */
    CONNECT_PATIENCE = 5000, /* ms */
};

static char farewell[] = "farewell";
enum { FAREWELL = sizeof farewell - 1 };

struct end {
    struct conn conn;
    uv_stream_t *reader, *writer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    char input[CHUNK];
};

struct exchange {
    struct loop loop;
    struct acceptor acceptor;
    struct timer patience;
    struct end client, server;
    enum selftest_end end;
    uint64_t size, sent, received;
    char output[CHUNK];
    struct err *err;
    int status;
    bool over;
};

static void finish(struct exchange *exchange, int status)
{
    exchange->over = true;
    exchange->status = status;
    loop_stop(&exchange->loop);
}

static void fail(struct exchange *exchange, const char *who, int status)
{
    if (!exchange->over)
        finish(exchange, err_system(exchange->err, status, "%s", who));
}

static void on_patience_over(struct timer *timer)
{
    struct exchange *exchange = list_entry(timer, struct exchange, patience);

    err_set(exchange->err, UV_ETIMEDOUT,
            "no end within %d s: %" PRIu64 " bytes sent, %" PRIu64 " came back", PATIENCE / 1000,
            exchange->sent, exchange->received);
    finish(exchange, -1);
}

/* --- the server --- */

static void on_server_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct exchange *exchange = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(exchange->server.input, CHUNK);
}

static void on_server_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static void on_server_shut(uv_shutdown_t *request, int status)
{
    /* The client may have gone, content, before this half was shut. */
    if (status != 0 && status != UV_ECANCELED && status != UV_ENOTCONN)
        fail(request->data, "server", status);
}

static void on_farewell(uv_write_t *request, int status)
{
    struct exchange *exchange = request->data;
    struct end *server = &exchange->server;

    if (exchange->over)
        return;
    server->shutdown.data = exchange;
    if (status == 0)
        status = uv_shutdown(&server->shutdown, server->writer, on_server_shut);
    if (status != 0)
        fail(exchange, "server", status);
}

static void on_echoed(uv_write_t *request, int status)
{
    struct exchange *exchange = request->data;

    if (exchange->over)
        return;
    if (status == 0)
        conn_read_start(&exchange->server.conn, on_server_alloc, on_server_read);
    else
        fail(exchange, "server", status);
}

/* What was read is sent back before more is read. */
static void on_server_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct exchange *exchange = stream->data;
    struct end *server = &exchange->server;
    uv_buf_t out;
    int status;

    if (count == 0 || exchange->over)
        return;
    conn_read_stop(&server->conn);
    if (count < 0 && count != UV_EOF) {
        fail(exchange, "server", (int)count);
        return;
    }
    out = count > 0 ? uv_buf_init(buffer->base, (unsigned)count) : uv_buf_init(farewell, FAREWELL);
    server->write.data = exchange;
    status = uv_write(&server->write, server->writer, &out, 1, count > 0 ? on_echoed : on_farewell);
    if (status != 0)
        fail(exchange, "server", status);
}

static bool on_admit(struct acceptor *acceptor)
{
    return !conn_is_open(&list_entry(acceptor, struct exchange, acceptor)->server.conn);
}

static void on_retract(struct acceptor *acceptor)
{
    (void)acceptor;
}

static void on_trouble(struct acceptor *acceptor, int code)
{
    if (code != 0)
        fail(list_entry(acceptor, struct exchange, acceptor), "accepting", code);
}

static int start_end(struct exchange *exchange, struct end *end, uv_alloc_cb alloc, uv_read_cb read)
{
    if (conn_streams(&end->conn, &end->reader, &end->writer, exchange->err) != 0)
        return -1;
    end->reader->data = exchange;
    conn_read_start(&end->conn, alloc, read);
    return 0;
}

static void on_accepted(struct acceptor *acceptor, const struct incoming *incoming,
                        const struct peer *peer)
{
    struct exchange *exchange = list_entry(acceptor, struct exchange, acceptor);
    int status = conn_adopt(&exchange->server.conn, &exchange->loop, incoming);

    (void)peer;
    if (status != 0)
        fail(exchange, "server", status);
    else if (start_end(exchange, &exchange->server, on_server_alloc, on_server_read) != 0)
        finish(exchange, -1);
}

/* --- the client --- */

/* Tells bytes that are lost, come twice or in another order. */
static char pattern(uint64_t offset)
{
    return (char)(offset ^ offset >> 8 ^ offset >> 16 ^ offset >> 24);
}

static char expected(const struct exchange *exchange, uint64_t offset)
{
    return offset < exchange->size ? pattern(offset) : farewell[offset - exchange->size];
}

static void on_client_shut(uv_shutdown_t *request, int status)
{
    if (status != 0 && status != UV_ECANCELED)
        fail(request->data, "client", status);
}

static void on_sent(uv_write_t *request, int status);

/* Sends the next chunk or, after the last, ends this half where it is to be ended. */
static void send_more(struct exchange *exchange)
{
    struct end *client = &exchange->client;
    uint64_t left = exchange->size - exchange->sent;
    unsigned length = left < CHUNK ? (unsigned)left : CHUNK;
    uv_buf_t buffer = uv_buf_init(exchange->output, length);
    int status = 0;

    for (unsigned i = 0; i < length; i++)
        exchange->output[i] = pattern(exchange->sent + i);
    exchange->sent += length;
    client->write.data = client->shutdown.data = exchange;
    if (length > 0)
        status = uv_write(&client->write, client->writer, &buffer, 1, on_sent);
    else if (exchange->end == SELFTEST_ENDS)
        status = uv_shutdown(&client->shutdown, client->writer, on_client_shut);
    if (status != 0)
        fail(exchange, "client", status);
}

static void on_sent(uv_write_t *request, int status)
{
    struct exchange *exchange = request->data;

    if (exchange->over)
        return;
    if (status == 0)
        send_more(exchange);
    else
        fail(exchange, "client", status);
}

static void on_client_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct exchange *exchange = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(exchange->client.input, CHUNK);
}

static void check(struct exchange *exchange, const char *bytes, size_t count, uint64_t total)
{
    for (size_t i = 0; i < count; i++, exchange->received++) {
        if (exchange->received < total && bytes[i] == expected(exchange, exchange->received))
            continue;
        err_set(exchange->err, 0, "byte %" PRIu64 " is wrong or too much", exchange->received);
        finish(exchange, -1);
        return;
    }
}

static void on_client_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct exchange *exchange = stream->data;
    bool ends = exchange->end == SELFTEST_ENDS;
    uint64_t total = exchange->size + (ends ? FAREWELL : 0);

    if (exchange->over)
        return;
    if (count > 0) {
        check(exchange, buffer->base, (size_t)count, total);
        if (!exchange->over && !ends && exchange->received == total)
            finish(exchange, 0);
    } else if (count == UV_EOF && ends && exchange->received == total) {
        finish(exchange, 0);
    } else if (count == UV_EOF) {
        err_set(exchange->err, UV_EOF, "the stream ended after %" PRIu64 " of %" PRIu64 " bytes",
                exchange->received, total);
        finish(exchange, -1);
    } else if (count < 0) {
        fail(exchange, "client", (int)count);
    }
}

static void on_dialled(void *arg, const struct err *err)
{
    struct exchange *exchange = arg;

    if (err)
        *exchange->err = *err;
    if (err || start_end(exchange, &exchange->client, on_client_alloc, on_client_read) != 0)
        finish(exchange, -1);
    else
        send_more(exchange);
}

/* --- the whole --- */

static int run(struct exchange *exchange, struct listener *listener)
{
    static const struct acceptor_owner owner = {on_admit, on_retract, on_accepted, on_trouble};
    static const struct sock_options options = {0};
    const struct dial_plan plan = {
        .target = listener_endpoint(listener),
        .options = &options,
        .timeout = CONNECT_PATIENCE,
    };

    acceptor_start(&exchange->acceptor, &exchange->loop, listener, &owner);
    timer_set(&exchange->loop.timers, &exchange->patience, PATIENCE);
    if (dial_start(&exchange->loop, &plan, &exchange->client.conn, on_dialled, exchange))
        loop_run(&exchange->loop);
    else
        exchange->status = err_system(exchange->err, UV_ENOMEM, "cannot connect");
    exchange->over = true;
    timer_clear(&exchange->loop.timers, &exchange->patience);
    acceptor_stop(&exchange->acceptor);
    conn_close(&exchange->client.conn, CONN_CLOSE);
    conn_close(&exchange->server.conn, CONN_CLOSE);
    return exchange->status;
}

int selftest_exchange(struct listener *listener, uint64_t size, enum selftest_end end,
                      struct err *err)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    int status;

    if (!exchange)
        return err_system(err, UV_ENOMEM, "selftest");
    exchange->size = size;
    exchange->end = end;
    exchange->err = err;
    conn_init(&exchange->client.conn);
    conn_init(&exchange->server.conn);
    timer_init(&exchange->patience, on_patience_over);
    status = loop_init(&exchange->loop, err);
    if (status == 0) {
        status = run(exchange, listener);
        loop_destroy(&exchange->loop);
    }
    free(exchange);
    return status;
}

/* --- where nobody listens --- */

struct refusal {
    struct loop loop;
    struct conn conn;
    struct err *answer;
    bool refused;
};

static void on_answer(void *arg, const struct err *err)
{
    struct refusal *refusal = arg;

    refusal->refused = err != NULL;
    if (err)
        *refusal->answer = *err;
    loop_stop(&refusal->loop);
}

int selftest_refusal(const struct endpoint *nobody, struct err *answer, struct err *err)
{
    static const struct sock_options options = {0};
    const struct dial_plan plan = {
        .target = nobody, .options = &options, .timeout = CONNECT_PATIENCE};
    struct refusal refusal = {.answer = answer};

    conn_init(&refusal.conn);
    if (loop_init(&refusal.loop, err) != 0)
        return -1;
    if (dial_start(&refusal.loop, &plan, &refusal.conn, on_answer, &refusal))
        loop_run(&refusal.loop);
    conn_close(&refusal.conn, CONN_CLOSE);
    loop_destroy(&refusal.loop);
    return refusal.refused ? 0 : err_set(err, 0, "somebody answered where nobody listens");
}
