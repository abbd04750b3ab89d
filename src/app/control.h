/* The control socket: one request a connection, a line of text; the answer is lines of text, the
 * last of which is the result. For the user that runs the program only. Main thread. */
#ifndef HVRELAY_APP_CONTROL_H
#define HVRELAY_APP_CONTROL_H

#include "net/endpoint.h"
#include "net/loop.h"

struct control;
struct control_client;

/* On the wire: "ok", "failed", "mistaken". */
enum control_result {
    CONTROL_OK,
    CONTROL_FAILED,   /* at run time, or a part of it */
    CONTROL_MISTAKEN, /* by the configuration: asking again would not help */
};

/* Handles a request. */
typedef enum control_result control_handler(void *arg, struct control_client *client,
                                            const char *request);

/* Listens there. Returns 0 and *out, or -1. */
int control_open(struct loop *loop, const struct endpoint *endpoint, control_handler *handler,
                 void *arg, struct control **out, struct err *err);

/* Adds a line to the answer, while the handler runs. */
void control_answer(struct control_client *client, const char *line);

/* Frees all. NULL is harmless. */
void control_close(struct control *control);

/* The other side: asks there, and calls `line` for each line of the answer but the last. Blocks.
 * Returns 0 and *result; -1 where there was no answer. */
int control_ask(const struct endpoint *endpoint, const char *request,
                void (*line)(const char *text), enum control_result *result, struct err *err);

#endif
