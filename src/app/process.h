/* What this process as a whole has to be before it handles its first stream. */
#ifndef HVRELAY_APP_PROCESS_H
#define HVRELAY_APP_PROCESS_H

/* Once, from main's thread, before any other exists. */
void process_prepare(void);

/* Where the configuration stands that no -c names. */
const char *process_default_config(void);

#endif
