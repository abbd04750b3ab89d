/* What this host has: registry, vms. */
#include "commands.h"

#include "base/text.h"
#include "net/windows/gcs_registry.h"
#include "net/windows/vms.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

/* --- registry --- */

static int list_services(const struct arguments *arguments, struct err *err)
{
    struct gcs_service *services;
    size_t count;

    (void)arguments;
    if (gcs_list(&services, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        char id[GUID_TEXT];
        uint32_t port;

        guid_format(&services[i].id, id);
        if (guid_to_port(&services[i].id, &port))
            printf("%s  port %" PRIu32 "  %s\n", id, port, services[i].name);
        else
            printf("%s  %s\n", id, services[i].name);
    }
    free(services);
    return 0;
}

/* A port stands for its GUID by the Linux template. */
static int port_or_guid(const char *text, struct guid *id)
{
    uint64_t port;

    if (text_number(text, UINT32_MAX - 1, &port) != 0)
        return guid_parse(text, id);
    *id = guid_from_port((uint32_t)port);
    return 0;
}

static int add_service(const struct arguments *arguments, struct err *err)
{
    struct guid id;

    if (port_or_guid(arguments->operands[1], &id) != 0)
        return err_set(err, UV_EINVAL, "'%s' is neither a port nor a GUID", arguments->operands[1]);
    return gcs_add(&id, arguments->operands[2], err);
}

static int remove_service(const struct arguments *arguments, struct err *err)
{
    struct guid id;

    if (port_or_guid(arguments->operands[1], &id) != 0 &&
        gcs_find(arguments->operands[1], &id, err) != 0)
        return -1;
    return gcs_remove(&id, err);
}

int command_registry(const struct arguments *arguments)
{
    static const struct verb verbs[] = {
        {"list", 0, list_services},
        {"add", 2, add_service},
        {"remove", 1, remove_service},
        {NULL, 0, NULL},
    };

    return run_verb(verbs, arguments);
}

/* --- vms --- */

int command_vms(const struct arguments *arguments)
{
    struct vm *vms;
    size_t count;
    struct err err;

    (void)arguments;
    if (vms_list(&vms, &count, &err) != 0) {
        fprintf(stderr, "hvrelay: %s\n", err.msg);
        return APP_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        char id[GUID_TEXT];

        guid_format(&vms[i].id, id);
        printf("%s  %-7s  %s  hyperv:name=%s:PORT\n", id, vm_state_name(vms[i].state), vms[i].name,
               vms[i].name);
    }
    if (count == 0)
        fprintf(stderr, "hvrelay: no VMs (Hyper-V shows them to administrators and members of "
                        "'Hyper-V Administrators' only)\n");
    free(vms);
    return APP_OK;
}
