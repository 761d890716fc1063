#!/bin/sh
# The fuzz targets, by cargo-fuzz, under AddressSanitizer: `make fuzz`. Each runs for TIME seconds, 60 unless told, or RUNS times;
# TARGETS="paths calls" names some. What a run learns stays in build/fuzz/NAME/corpus; an input that fails lies in
# build/fuzz/NAME/found, and PLEXINDEX_FUZZ=NAME RUSTC_BOOTSTRAP=1 cargo fuzz run plexindex-fuzz FILE runs it again.
set -eu
cd "$(dirname "$0")/.."
# cargo-fuzz wants a nightly compiler. SQLite has one array under two names.
export RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=detect_odr_violation=0:allocator_may_return_null=1
# Some targets write files with each input: in memory if possible.
PLEXINDEX_FUZZ_FOLDER=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export PLEXINDEX_FUZZ_FOLDER
trap 'rm -rf "$PLEXINDEX_FUZZ_FOLDER"' EXIT
failed=0
for target in ${TARGETS:-$(basename -s .tar fuzz/corpus/*.tar)}; do
    at=build/fuzz/$target
    mkdir -p "$at/corpus" "$at/kept" "$at/found"
    tar -xf "fuzz/corpus/$target.tar" -C "$at/kept"
    PLEXINDEX_FUZZ=$target ${CARGO:-cargo} fuzz run --target-dir target/fuzz plexindex-fuzz "$at/corpus" "$at/kept" -- -max_len=1024 \
        -timeout=30 -print_final_stats=1 -artifact_prefix="$at/found/" "-max_total_time=${TIME:-60}" ${RUNS:+-runs="$RUNS"} || failed=1
done
exit $failed
