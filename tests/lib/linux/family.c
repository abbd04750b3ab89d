#include "../family.h"

#include "../check.h"
#include "vsock.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#define ANY_VM "00000000-0000-0000-0000-000000000000"

static const char *always_there(void)
{
    return NULL;
}

static unsigned next_number(void)
{
    static unsigned number;
    return ++number;
}

static void fresh_tcp(char endpoint[ENDPOINT_MAX])
{
    snprintf(endpoint, ENDPOINT_MAX, "tcp:127.0.0.1:0");
}

static void fresh_unix(char endpoint[ENDPOINT_MAX])
{
    snprintf(endpoint, ENDPOINT_MAX, "unix:%s/relay-%u", scratch_folder(), next_number());
}

static void fresh_abstract(char endpoint[ENDPOINT_MAX])
{
    snprintf(endpoint, ENDPOINT_MAX, "unix:@hvrelay-test-%d-relay-%u", (int)getpid(),
             next_number());
}

/* Above the privileged ports and within the half that every kernel leaves to listeners. */
static uint32_t random_port(void)
{
    uint32_t random;
    if (uv_random(NULL, NULL, &random, sizeof random, 0, NULL) != 0)
        fail_msg("no random numbers");
    return 1025 + random % 0x7FFF0000;
}

static void fresh_vsock(char endpoint[ENDPOINT_MAX])
{
    snprintf(endpoint, ENDPOINT_MAX, "vsock:any:%" PRIu32, random_port());
}

static void fresh_hyperv(char endpoint[ENDPOINT_MAX])
{
    snprintf(endpoint, ENDPOINT_MAX, "hyperv:any:%" PRIu32, random_port());
}

static void fresh_hyperv_guid(char endpoint[ENDPOINT_MAX])
{
    snprintf(endpoint, ENDPOINT_MAX, "hyperv:" ANY_VM ":%08" PRIx32 "-facb-11e6-bd58-64006a7986d3",
             random_port());
}

const struct family families[] = {
    {"tcp", RESETS_ALWAYS, true, true, true, true, always_there, fresh_tcp},
    {"unix", RESETS_UNREAD, false, false, true, true, always_there, fresh_unix},
    {"abstract", RESETS_UNREAD, false, false, true, true, always_there, fresh_abstract},
    {"vsock", RESETS_NEVER, false, false, true, true, vsock_missing, fresh_vsock},
    {"hyperv", RESETS_NEVER, false, false, true, true, vsock_missing, fresh_hyperv},
    {"hyperv-guid", RESETS_NEVER, false, false, true, true, vsock_missing, fresh_hyperv_guid},
    {NULL, RESETS_NEVER, false, false, false, false, NULL, NULL},
};
