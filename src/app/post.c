#include "app/post.h"

#include <stdlib.h>

int post_make_gates(struct post *post)
{
    struct crew *crew = post->crew;

    for (unsigned i = 0; i < crew->count; i++) {
        post->gates[i] = gate_create(&crew->workers[i], post->listener, post->forward, post->terms);
        if (!post->gates[i])
            return -1;
    }
    return 0;
}

void post_discard_gates(struct post *post)
{
    for (unsigned i = 0; post->gates && i < post->crew->count; i++) {
        gate_discard(post->gates[i]);
        post->gates[i] = NULL;
    }
}

void post_open_gates(struct post *post)
{
    listener_claim(post->listener);
    for (unsigned i = 0; i < post->crew->count; i++)
        gate_open(post->gates[i]);
    post->open = true;
}

void post_close_gates(struct post *post)
{
    for (unsigned i = 0; i < post->crew->count; i++) {
        if (post->gates[i])
            gate_close(post->gates[i]);
        post->gates[i] = NULL;
    }
}

void post_keep_gates(struct post *post, struct post *old)
{
    post_discard_gates(post);
    for (unsigned i = 0; i < post->crew->count; i++) {
        post->gates[i] = old->gates[i];
        old->gates[i] = NULL;
        gate_change_terms(post->gates[i], post->terms);
    }
    post->open = true;
}

void post_release(struct post *post)
{
    if (post->listener)
        listener_release(post->listener);
    if (post->forward)
        forward_release(post->forward);
    if (post->terms)
        terms_release(post->terms);
    free(post->gates);
}
