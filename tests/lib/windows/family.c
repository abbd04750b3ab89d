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

/* Wine 8 calls a stuck write that a reset has broken off a success, and the read an end of file: no
 * peer of ours can tell the reset then. Once a stream has ended, libuv on Windows has nothing left
 * to watch it with: the relay learns of a later reset by its next write. A named pipe has no reset;
 * one of messages has a half-close, one of bytes ends both ways at once, by being closed. */
const struct family families[] = {
    {"tcp", RESETS_ALWAYS, true, false, false, true, always_there, fresh_tcp},
    {"npipe", RESETS_NEVER, false, false, false, true, always_there, fresh_pipe},
    {"npipe-bytes", RESETS_NEVER, false, false, false, false, always_there, fresh_pipe},
    {NULL, RESETS_NEVER, false, false, false, false, NULL, NULL},
};
