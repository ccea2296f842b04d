#pragma once
#include <errno.h>
#include <sys/eventfd.h>
#include <zmq.h>

/* The flags of eventfd are an enum in C that Swift sees as a type of its own. */
static inline int proffer_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* Refuses a CURVE peer when nobody answers for its domain. The library has the option since 4.3;
   the header names it for users of draft interfaces only. */
static const int proffer_zap_enforce_domain = 93;

#include <sys/prctl.h>

/* Names the calling thread, for ps, top and perf. */
static inline void proffer_name_thread(const char *name) {
    prctl(PR_SET_NAME, name);
}
