#include "../family.h"

#include <process.h>
#include <stdio.h>

static const char *always_there(void)
{
    return NULL;
}

static void fresh_tcp(char endpoint[ENDPOINT_MAX])
{
    snprintf(endpoint, ENDPOINT_MAX, "tcp:127.0.0.1:0");
}

static void fresh_pipe(char endpoint[ENDPOINT_MAX])
{
    static unsigned number;
    snprintf(endpoint, ENDPOINT_MAX, "npipe:hvrelay-test-%d-relay-%u", _getpid(), ++number);
}

/* A named pipe has no reset; one of messages has a half-close, one of bytes ends both ways at once,
 * by being closed. */
const struct family families[] = {
    {"tcp", RESETS_ALWAYS, true, true, true, true, always_there, fresh_tcp},
    {"npipe", RESETS_NEVER, false, false, false, true, always_there, fresh_pipe},
    {"npipe-bytes", RESETS_NEVER, false, false, false, false, always_there, fresh_pipe},
    {NULL, RESETS_NEVER, false, false, false, false, NULL, NULL},
};
