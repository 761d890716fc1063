#!/bin/sh
# Runs the fuzz targets with cargo-fuzz, under AddressSanitizer: `make fuzz`. Each target runs for TIME seconds (60 by
# default) or RUNS times. TARGETS="paths logs" selects targets. New inputs stay in build/fuzz/NAME/corpus, and failing
# inputs in build/fuzz/NAME/found. To repeat a failure, run PLEXINDEX_FUZZ=NAME RUSTC_BOOTSTRAP=1 cargo fuzz run
# plexindex-fuzz FILE.
set -eu
cd "$(dirname "$0")/.."
# RUSTC_BOOTSTRAP replaces a nightly compiler. SQLite defines one array under two names, which is not an error.
export RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=detect_odr_violation=0:allocator_may_return_null=1
# Some targets write files for each input, so keep these in memory if possible.
PLEXINDEX_FUZZ_FOLDER=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export PLEXINDEX_FUZZ_FOLDER
trap 'rm -rf "$PLEXINDEX_FUZZ_FOLDER"' EXIT
# The versions that the library is built with.
cp Cargo.lock fuzz/
failed=0
for target in ${TARGETS:-$(cd fuzz/corpus && echo *.tar.gz)}; do
    target=${target%.tar.gz}
    at=build/fuzz/$target
    mkdir -p "$at/corpus" "$at/kept" "$at/found"
    tar -xzf "fuzz/corpus/$target.tar.gz" -C "$at/kept"
    PLEXINDEX_FUZZ=$target ${CARGO:-cargo} fuzz run --target-dir target/fuzz plexindex-fuzz "$at/corpus" "$at/kept" -- -max_len=1024 \
        -timeout=30 -print_final_stats=1 -artifact_prefix="$at/found/" "-max_total_time=${TIME:-60}" ${RUNS:+-runs="$RUNS"} || failed=1
done
exit $failed
