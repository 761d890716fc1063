/*
 * The unwinder of the system, loaded by the first panic. A process that loads a shared object of ours and sees no panic does
 * not pay for libgcc_s: looking for it, its pages, and a constructor that asks the processor what it can do, which a virtual
 * machine answers slowly.
 *
 * The functions have the names by which compiled Rust calls them, and hand each call on. They are hidden, so a host keeps its
 * own. It stays one unwinder in the process: libgcc_s is the one that glibc loads itself, to end a thread. Linked into shared
 * objects with glibc only (build.rs). What is linked into a program brings its own.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void function(void);

/* The function of this name, looked up once. Without libgcc_s a panic cannot be caught, and must not go on. */
static function *find(function **place, const char *name)
{
    function *known = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (known == NULL) {
        void *library = dlopen("libgcc_s.so.1", RTLD_NOW);
        void *found = library == NULL ? NULL : dlsym(library, name);
        if (found == NULL)
            abort();
        memcpy(&known, &found, sizeof known);
        __atomic_store_n(place, known, __ATOMIC_RELAXED);
    }
    return known;
}

#define HAND_ON(give, result, name, parameters, arguments)        \
    __attribute__((visibility("hidden"))) result name parameters; \
    result name parameters                                        \
    {                                                             \
        static function *known;                                   \
        give((result(*) parameters)find(&known, #name))arguments; \
    }

/* Contexts and exceptions are pointers here, and reasons are what C makes of an enum. */
HAND_ON(return, int, _Unwind_RaiseException, (void *exception), (exception))
HAND_ON(return, int, _Unwind_Backtrace, (void *each, void *argument), (each, argument))
HAND_ON(return, uintptr_t, _Unwind_GetLanguageSpecificData, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetRegionStart, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetTextRelBase, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetDataRelBase, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetIP, (void *context), (context))
HAND_ON(return, uintptr_t, _Unwind_GetIPInfo, (void *context, int *before), (context, before))
HAND_ON(return, uintptr_t, _Unwind_GetCFA, (void *context), (context))
HAND_ON(return, void *, _Unwind_FindEnclosingFunction, (void *address), (address))
HAND_ON(, void, _Unwind_SetGR, (void *context, int place, uintptr_t value), (context, place, value))
HAND_ON(, void, _Unwind_SetIP, (void *context, uintptr_t value), (context, value))
HAND_ON(, void, _Unwind_DeleteException, (void *exception), (exception))
/* Goes on unwinding from the frame that calls it; a frame of this file between the two has nothing to be undone. */
HAND_ON(, void, _Unwind_Resume, (void *exception), (exception))
