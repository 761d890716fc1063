#!/bin/sh
# Runs each test of a test program in its own process, as cargo-nextest does, because some tests fork or limit their
# process. `cargo test` calls this script if `make test` finds no cargo-nextest.
if [ "$1" = --one ]; then
    [ -n "$3" ] || exit 0 # GNU's xargs calls this even for an empty list
    output=$("$2" --exact "$3" 2>&1 </dev/null) && echo "test $3 ... ok" || printf '%s\ntest %s ... FAILED\n' "$output" "$3"
    exit
fi
# A list of all tests and a list of the ignored ones: a test that is in both is ignored.
for which in --include-ignored --ignored; do "$1" --list --format terse $which; done | sort | uniq -u | sed -n 's/: test$//p' |
    xargs -n 1 -P "$(($(getconf _NPROCESSORS_ONLN) + 1))" sh "$0" --one "$1" |
    awk '{ print } /^test .* \.\.\. ok$/ { passed++ } /^test .* \.\.\. FAILED$/ { failed++ }
        END { printf "test result: %d passed; %d failed\n", passed, failed; exit failed > 0 }'
