#include "net/sock_options.h"

/* The oldest Windows that lacks one says so when it is set. */
int sock_options_check_hyperv(struct err *err)
{
    (void)err;
    return 0;
}
