/* Who may use a forward: an ordered list of rules, of which the first that matches decides. */
#ifndef HVRELAY_CONFIG_ACCESS_H
#define HVRELAY_CONFIG_ACCESS_H

#include "net/peer.h"

enum { ACCESS_RULES = 32 };

struct access_rule {
    bool allow;
    enum {
        ACCESS_ALL,
        ACCESS_NETWORK,
        ACCESS_CID,
        ACCESS_VM,
        ACCESS_USER,
        ACCESS_GROUP,
    } kind;
    union {
        struct {
            uint8_t address[16];
            uint8_t prefix; /* bits */
            bool v6;
        } network;
        uint32_t id; /* a CID, uid or gid */
        struct guid vm;
    } u;
};

struct access {
    struct access_rule rules[ACCESS_RULES];
    unsigned count;
};

/* Adds the rule "allow TEXT" or "deny TEXT". TEXT is one of:
 *   all   10.0.0.0/8   ::1   fd00::/8   cid=3   vm=GUID   user=NAME|UID   group=NAME|GID
 * Names of users and groups are looked up, so that a wrong one is found now. Returns 0 or -1. */
int access_add(struct access *access, bool allow, const char *text, struct err *err);

/* Is there a rule that says who may come? */
bool access_has_allow(const struct access *access);

/* What no rule matches is allowed where there are only deny rules (or none), else denied. A peer
 * that a family can't identify (stdio, fd) is matched by `all` only. */
bool access_allows(const struct access *access, const struct peer *peer);

#endif
