/* Am I inside one of our own guests? Test code asks before any use of AF_VSOCK, so that a test
 * that is started by mistake on a machine that people work on touches none of its sockets.
 *
 * Two witnesses are needed: tests/guest/boot sets HVRELAY_GUEST=1 for the command it runs, and
 * starts the guest's kernel with VM_ROOT=, which no environment can fake.
 * The same for Python: inside.py; for shell scripts: inside_guest in lib.sh. */
#ifndef GUEST_INSIDE_H
#define GUEST_INSIDE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool guest_inside(void)
{
    const char *told = getenv("HVRELAY_GUEST");
    char line[4096] = "";
    FILE *file = fopen("/proc/cmdline", "r");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) == NULL)
            line[0] = '\0';
        fclose(file);
    }
    return told != NULL && strcmp(told, "1") == 0 && strstr(line, "VM_ROOT=") != NULL;
}

/* Ends the process with 77 (skipped) anywhere else. */
static inline void guest_assert(void)
{
    if (guest_inside())
        return;
    fputs("skip: this uses AF_VSOCK and runs only inside a guest of tests/guest/boot\n", stderr);
    exit(77);
}

#endif
