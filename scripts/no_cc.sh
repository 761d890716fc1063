#!/bin/sh
# Stands in for the C compiler of a system whose headers are not here: each object is empty. `cargo check` builds SQLite and
# the cryptography first, and links nothing; what it checks is the Rust code.
case " $* " in
*" -? "*) exit 1 ;; # the question whether it takes the options of Microsoft's compiler
*" -E "*) exec cc "$@" ;; # the question which compiler it is
esac
while [ $# -gt 0 ]; do
    if [ "$1" = -o ]; then : >"$2"; fi
    shift
done
