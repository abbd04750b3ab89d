/* The keys of the configuration, as a table: what each is called, what it takes, where it goes. */
#ifndef HVRELAY_CONFIG_KEYS_H
#define HVRELAY_CONFIG_KEYS_H

#include "config/config.h"

struct key {
    const char *name;
    const char *takes; /* for the message about a wrong value */
    int (*set)(void *field, const char *value, const struct key *key, struct err *err);
    size_t offset;     /* of the field in its structure */
    uint64_t min, max; /* of numbers; sizes and times may also be 0 ("off") */
    bool repeats;      /* may stand more than once */
};

/* Keys of [hvrelay], in struct config; and of [forward ...] and [defaults], in struct
 * forward_config. Both end with a NULL name. */
extern const struct key program_keys[];
extern const struct key forward_keys[];

const struct key *key_find(const struct key *keys, const char *name);

/* The name of a key in the table that is most like `name`, or NULL. */
const char *key_nearest(const struct key *keys, const char *name);

/* Sets the key's field of `structure`. Returns 0, or -1 and what would be right. */
int key_set(const struct key *key, void *structure, const char *value, struct err *err);

const char *pump_name(enum pump pump);

#endif
