/* The services that guests may reach on this host: GuestCommunicationServices in the registry. A
 * listener on a service that is not there gets no connection from a VM. */
#ifndef HVRELAY_NET_WINDOWS_GCS_REGISTRY_H
#define HVRELAY_NET_WINDOWS_GCS_REGISTRY_H

#include "base/err.h"
#include "net/endpoint.h"

struct gcs_service {
    struct guid id;
    char name[ENDPOINT_NAME]; /* its ElementName; empty where it has none */
};

/* All of them: an array for free() and its length. Returns 0, or -1 (UV_ENOENT: no Hyper-V). */
int gcs_list(struct gcs_service **out, size_t *count, struct err *err);

/* The service of that name (upper and lower case are the same). Returns 0, or -1 where there is
 * none (UV_ENOENT) or more than one (UV_EEXIST). */
int gcs_find(const char *name, struct guid *id, struct err *err);

/* Registers a service, or renames it. Administrators only. Returns 0 or -1. */
int gcs_add(const struct guid *id, const char *name, struct err *err);

/* Returns 0, or -1 (UV_ENOENT: it is not registered). Administrators only. */
int gcs_remove(const struct guid *id, struct err *err);

#endif
