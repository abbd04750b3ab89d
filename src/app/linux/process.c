#include "app/process.h"

#include <signal.h>

void process_prepare(void)
{
    /* splice() can't pass MSG_NOSIGNAL, and sends on vsock raise SIGPIPE all the same. */
    signal(SIGPIPE, SIG_IGN);
}

const char *process_default_config(void)
{
    return "/etc/hvrelay/hvrelay.conf";
}
