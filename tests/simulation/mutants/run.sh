#!/bin/sh
# Brings each defect of this folder back, and counts the seeds in which the simulation finds it.
#   sh tests/simulation/mutants/run.sh [SEEDS] [PATTERN]
# All patches are applied to one copy of the tree, which is built once: PLEXINDEX_MUTANT names the defect that is back. None
# is in the first run, which must find nothing. At most SEEDS (2000) are run of each, and no more when FOUND (1) of them
# have found it. JOBS (2) run at once. A patch that begins with 'Found by:' names a test, which must fail instead. Copy and
# builds lie in build/mutants. Exits with 1 when a defect is not found.
set -eu
seeds=${1:-2000}
pattern=${2:-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../../.." && pwd)
work=$root/build/mutants
out=$work/out
export CARGO_TARGET_DIR="$work"
rm -rf "$work/new" "$out"
mkdir -p "$work/new" "$work/tree" "$out"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf -) | (cd "$work/new" && tar xf -)
cd "$work/new"
for patch in "$here"/*.patch; do
    patch -s -p1 <"$patch"
done
for source in src crates/matching/src; do
    cp "$here/mutant.rs" "$source/mutant.rs"
    echo 'mod mutant;' >>"$source/lib.rs"
done
# What did not change keeps its date, and is not built again.
find . -type f | while read -r file; do
    if ! cmp -s "$file" "$work/tree/$file"; then
        mkdir -p "$work/tree/$(dirname "$file")"
        cp "$file" "$work/tree/$file"
    fi
done
cd "$work/tree"
# What is built here runs for minutes, and half of that in SQLite: the rest need not be fast.
export CARGO_INCREMENTAL=0
mkdir -p .cargo
cat >.cargo/config.toml <<'END'
[profile.release.package.plexindex]
opt-level = 1
debug = false
END
cargo test -q --release -p plexindex-tests --test simulation --no-run
program=$(cargo test --release -p plexindex-tests --test simulation --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')

simulate() {
    PLEXINDEX_MUTANT=$short PLEXINDEX_SEED=0 PLEXINDEX_SEEDS=$2 PLEXINDEX_FOUND=${FOUND:-1} \
        "$program" histories_for_long --ignored --nocapture >"$out/$1" 2>&1 || true
    first=$(sed -n 's/^seed \([0-9]*\), .*/\1/p' "$out/$1" | head -1)
    ran=$(sed -n 's/^\([0-9]*\) histories, .* \([0-9]*\) failed.*/found in \2 of \1 seeds/p' "$out/$1" | tail -1)
    echo "$1: ${ran:-no result}${first:+, first at seed $first}" >>"$out/results"
    tail -1 "$out/results"
}

# run NAME SEEDS
run() {
    short=$(echo "$1" | cut -d- -f1,2)
    by=$(sed -n '1s/^Found by: //p' "$here/$1.patch" 2>/dev/null || true)
    if [ -z "$by" ]; then
        simulate "$1" "$2"
    elif ! $by >"$out/$1" 2>&1; then
        echo "$1: no result of $by, which fails without it" | tee -a "$out/results"
    elif PLEXINDEX_MUTANT=$short $by >"$out/$1" 2>&1; then
        echo "$1: not found by $by" | tee -a "$out/results"
    elif grep -q '^test result: FAILED. 0 passed; 1 failed' "$out/$1"; then
        echo "$1: found by $by" | tee -a "$out/results"
    else
        echo "$1: no result of $by" | tee -a "$out/results"
    fi
}

run none 200
grep -q '^none: found in 0 of' "$out/results"
running=0
for patch in "$here"/*"$pattern"*.patch; do
    run "$(basename "$patch" .patch)" "$seeds" &
    running=$((running + 1))
    if [ "$running" -ge "${JOBS:-2}" ]; then
        wait
        running=0
    fi
done
wait
! grep -E 'found in 0 of|not found|no result' "$out/results" | grep -v '^none'
