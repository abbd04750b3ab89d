#include "cli/selftest.h"

#include <stdio.h>
#include <uv.h>

const char selftest_machine[] = "vsock:local";

void selftest_system(char *out, size_t size)
{
    uv_utsname_t name = {0};

    uv_os_uname(&name);
    snprintf(out, size, "%.48s %.80s, %.48s", name.sysname, name.release, name.machine);
}
