/* Who may change what the service reads. It runs as LocalSystem, and its configuration names files
 * that it writes: a user who may write the configuration, or replace it in its folder, owns the
 * machine. Any user may make a folder in %ProgramData%, so the one that is there may be somebody
 * else's. */
#ifndef HVRELAY_CLI_WINDOWS_SERVICE_TRUST_H
#define HVRELAY_CLI_WINDOWS_SERVICE_TRUST_H

#include "base/err.h"

/* Checks the owner and the access list of a file or folder, a SECURITY_DESCRIPTOR: both may name
 * only SYSTEM, the administrators, Windows itself (TrustedInstaller) and the account that this
 * process runs as. `what` stands in the message. Returns 0 or -1. */
int trust_check_descriptor(void *descriptor, const char *what, struct err *err);

/* Checks the file and the folder it is in. A file that is not there yet is fine. Returns 0 or -1.
 */
int trust_check_config(const char *path, struct err *err);

/* Makes the folder of the default configuration if it is not there: full access for SYSTEM and the
 * administrators, who own it; users may read. One that is there is left as it is. Returns 0 or -1.
 */
int trust_make_folder(struct err *err);

#endif
