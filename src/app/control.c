#include "app/control.h"

#include "net/listener.h"

#include <stdlib.h>
#include <string.h>

enum {
    REQUEST = 64,  /* bytes of a request line */
    ANSWER = 8192, /* bytes of an answer; more is cut */
    LAST = 16,     /* of these, for the last line */
    MOST_CLIENTS = 8,
    PATIENCE = 5000, /* ms for a client from its connect to its last byte */
};

struct control {
    struct loop *loop;
    struct listener *listener;
    struct acceptor acceptor;
    control_handler *handler;
    void *arg;
    struct list clients;
    int count;
};

struct control_client {
    struct list link;
    struct control *control; /* NULL: closed, and only the write's callback is still to come */
    struct conn conn;
    uv_stream_t *writer;
    uv_write_t write;
    bool writing;
    struct timer patience;
    size_t asked, answered;
    char request[REQUEST], answer[ANSWER];
};

static void close_client(struct control_client *client)
{
    struct control *control = client->control;

    client->control = NULL;
    list_remove(&client->link);
    timer_clear(&control->loop->timers, &client->patience);
    conn_close(&client->conn, CONN_CLOSE);
    control->count--;
    acceptor_resume(&control->acceptor);
    if (!client->writing)
        free(client);
}

static void on_patience_over(struct timer *timer)
{
    close_client(list_entry(timer, struct control_client, patience));
}

static void on_written(uv_write_t *write, int status)
{
    struct control_client *client = write->data;

    (void)status;
    client->writing = false;
    if (client->control)
        close_client(client);
    else
        free(client);
}

static void append(struct control_client *client, const char *line, size_t room)
{
    size_t length = strlen(line);

    if (length + 1 > room)
        return;
    memcpy(client->answer + client->answered, line, length);
    client->answer[client->answered + length] = '\n';
    client->answered += length + 1;
}

void control_answer(struct control_client *client, const char *line)
{
    append(client, line, ANSWER - LAST - client->answered);
}

static void handle(struct control_client *client)
{
    static const char *const words[] = {"ok", "failed", "mistaken"};
    struct control *control = client->control;
    uv_buf_t buffer;
    enum control_result result = control->handler(control->arg, client, client->request);

    append(client, words[result], LAST);
    buffer = uv_buf_init(client->answer, (unsigned)client->answered);
    client->write.data = client;
    client->writing = uv_write(&client->write, client->writer, &buffer, 1, on_written) == 0;
    if (!client->writing)
        close_client(client);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct control_client *client = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(client->request + client->asked, (unsigned)(REQUEST - client->asked));
}

/* A request that does not fit, or ends without a line feed, is none. */
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct control_client *client = stream->data;
    char *end;

    (void)buffer;
    if (count < 0) {
        close_client(client);
        return;
    }
    client->asked += (size_t)count;
    end = memchr(client->request, '\n', client->asked);
    if (end) {
        *end = '\0';
        conn_read_stop(&client->conn);
        handle(client);
    } else if (client->asked == REQUEST) {
        close_client(client);
    }
}

static bool on_admit(struct acceptor *acceptor)
{
    return list_entry(acceptor, struct control, acceptor)->count < MOST_CLIENTS;
}

static void on_retract(struct acceptor *acceptor)
{
    (void)acceptor;
}

static void on_trouble(struct acceptor *acceptor, int code)
{
    (void)acceptor;
    (void)code;
}

static void on_accepted(struct acceptor *acceptor, const struct incoming *incoming,
                        const struct peer *peer)
{
    struct control *control = list_entry(acceptor, struct control, acceptor);
    struct control_client *client = calloc(1, sizeof *client);
    uv_stream_t *reader;
    struct err err;

    (void)peer;
    if (!client || conn_adopt(&client->conn, control->loop, incoming) != 0) {
        if (!client)
            incoming_refuse(incoming);
        free(client);
        return;
    }
    client->control = control;
    control->count++;
    list_append(&control->clients, &client->link);
    timer_init(&client->patience, on_patience_over);
    timer_set(&control->loop->timers, &client->patience, PATIENCE);
    if (conn_streams(&client->conn, &reader, &client->writer, &err) != 0) {
        close_client(client);
        return;
    }
    reader->data = client;
    conn_read_start(&client->conn, on_alloc, on_read);
}

static const struct acceptor_owner control_owner = {on_admit, on_retract, on_accepted, on_trouble};

int control_open(struct loop *loop, const struct endpoint *endpoint, control_handler *handler,
                 void *arg, struct control **out, struct err *err)
{
    const struct sock_options options = {.backlog = MOST_CLIENTS, .socket_mode = 0600};
    struct control *control = calloc(1, sizeof *control);

    if (!control)
        return err_system(err, UV_ENOMEM, "cannot open the control socket");
    control->loop = loop;
    control->handler = handler;
    control->arg = arg;
    list_init(&control->clients);
    if (listener_open(endpoint, &options, &control->listener, err) != 0) {
        free(control);
        return err_prefix(err, "control socket");
    }
    acceptor_start(&control->acceptor, loop, control->listener, &control_owner);
    *out = control;
    return 0;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    while (!list_empty(&control->clients))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it loses track of circular lists */
        close_client(list_entry(control->clients.next, struct control_client, link));
    acceptor_stop(&control->acceptor);
    listener_release(control->listener);
    free(control);
}
