#include "net/sock_options.h"

#include <uv.h>

int sock_options_check_hyperv(struct err *err)
{
    return err_set(err, UV_ENOTSUP,
                   "Linux has no such option: it is for Hyper-V sockets of Windows");
}
