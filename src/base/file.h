/* Opening files by UTF-8 names. Each system implements it in its own folder. */
#ifndef HVRELAY_BASE_FILE_H
#define HVRELAY_BASE_FILE_H

#include <stdio.h>

/* Opens a text file to read, which no child process inherits. NULL: errno says why. */
FILE *file_open(const char *path);

#endif
