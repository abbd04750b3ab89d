#include "load.h"

#include <inttypes.h>
#include <string.h>

void load_open(struct load *load)
{
    if (load->plan.mode != CONNECT)
        load->pairs = pairs_open(load->listener, &load->target, load->plan.connections);
}

static uint64_t run(struct load *load, const struct plan *plan)
{
    switch (plan->mode) {
    case BULK:
        return bulk_run_threads(load->pairs, plan->connections, plan);
    case PINGPONG:
        return pingpong_run(load->pairs, plan->connections, plan, &load->samples);
    case BESIDE:
        return beside_run(load->pairs, plan->connections, plan, &load->samples);
    case CONNECT:
        return connect_run(load->listener, &load->target, plan, &load->samples);
    case IDLE:
        break;
    }
    return 0;
}

void load_run(struct load *load, double part)
{
    struct plan plan = load->plan;
    uint64_t start = now_ns();

    plan.ns = (uint64_t)((double)plan.ns * part);
    plan.count = (unsigned)((double)plan.count * part);
    memset(&load->samples, 0, sizeof load->samples);
    load->bytes = run(load, &plan);
    load->ns = now_ns() - start;
}

void load_print(const struct load *load)
{
    printf("{\"seconds\": %.6f, \"bytes\": %" PRIu64 ", ", (double)load->ns / 1e9, load->bytes);
    samples_print(&load->samples, stdout);
    printf("}\n");
}
