#!/bin/sh
# The compiler, for `scripts/run_fuzz.py`: counts the branches of the library and of the JSON parser, which lead the fuzzer, and
# of nothing else. With all crates the build takes three times as long, each run several times, and most inputs that are kept
# are new inside of a regular expression or of a target only. Cargo has no stable way to give one package flags, and its build
# script none.
case " $* " in
*" --crate-name plexindex "*" --target "* | *" --crate-name serde_json "*" --target "*) ;;
# The defect that coverage has to lead to.
*" --crate-name plexindex_fuzz "*'feature="planted"'*) ;;
*) exec "$@" ;;
esac
# The compiler's own passes, which a stable compiler has too, but hides.
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
