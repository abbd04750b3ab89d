/* The asking side of the control socket against any answer. */
#include "fuzz.h"

#include "app/control.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t told; /* bytes of the lines, with their line feeds */

static void on_line(const char *line)
{
    HOLDS(!strchr(line, '\n'));
    told += strlen(line) + 1;
}

/* All of the answer is there before it is asked for: it has to fit the socket's buffer. */
static void check(const uint8_t *data, size_t size)
{
    struct endpoint endpoint = {.family = FAMILY_FD};
    enum control_result result = CONTROL_FAILED;
    int ends[2], status;
    struct err err;

    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    HOLDS(send(ends[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
    shutdown(ends[1], SHUT_WR);
    endpoint.u.fd = ends[0];
    told = 0;
    status = control_ask(&endpoint, "reload", on_line, &result, &err);
    if (status != 0)
        fuzz_check_err(&err);
    HOLDS(status != 0 || result != CONTROL_OK ||
          (size >= 3 && memcmp(data + size - 3, "ok\n", 3) == 0) || memchr(data, '\0', size));
    HOLDS(told <= size);
    close(ends[0]);
    close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    signal(SIGPIPE, SIG_IGN);
    check(data, size < 20000 ? size : 20000);
    return 0;
}
