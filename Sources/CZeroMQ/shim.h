#pragma once
#include <errno.h>
#include <sys/eventfd.h>
#include <zmq.h>

/* The flags of eventfd are an enum in C that Swift sees as a type of its own. */
static inline int proffer_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

#include <sys/prctl.h>

/* Names the calling thread, for ps, top and perf. */
static inline void proffer_name_thread(const char *name) {
    prctl(PR_SET_NAME, name);
}
