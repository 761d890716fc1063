#!/bin/sh
# Brings each defect of this folder back, and counts the seeds in which the simulation finds it.
#   sh tests/simulation/mutants/run.sh [SEEDS] [PATTERN]
# All patches are applied to one copy of the tree, which is built once; PLEXINDEX_MUTANT names the defect that is back. None
# is in the first run, which must find nothing. At most SEEDS are run of each, and no more after FOUND (10) have found it.
# JOBS (2) run at once. Builds go to $CARGO_TARGET_DIR, or to build/mutants. Exits with 1 when a defect is not found.
set -eu
seeds=${1:-2000}
pattern=${2:-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/build/mutants}"
mkdir "$copy/tree"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf -) | (cd "$copy/tree" && tar xf -)
cd "$copy/tree"
for patch in "$here"/*.patch; do
    patch -s -p1 <"$patch"
done
cp "$here/mutant.rs" src/mutant.rs
echo 'mod mutant;' >>src/lib.rs
# As of now, so that a build with the copy's dates sees it.
find src tests/simulation -name '*.rs' -exec touch {} +
cargo test -q --release --test simulation --no-run
program=$(cargo test --release --test simulation --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')

run() {
    name=$1
    short=$(echo "$name" | cut -d- -f1,2)
    PLEXINDEX_MUTANT=$short PLEXINDEX_SEED=0 PLEXINDEX_SEEDS=$2 PLEXINDEX_FOUND=${FOUND:-10} \
        "$program" histories_for_long --ignored --nocapture >"$copy/$name.out" 2>&1 || true
    first=$(sed -n 's/^seed \([0-9]*\), .*/\1/p' "$copy/$name.out" | head -1)
    ran=$(sed -n 's/^\([0-9]*\) histories, .* \([0-9]*\) failed.*/found in \2 of \1 seeds/p' "$copy/$name.out" | tail -1)
    echo "$name: ${ran:-no result}${first:+, first at seed $first}" | tee -a "$copy/results"
    sed -n 's/^\(seed .*\)/    \1/p' "$copy/$name.out" | head -1 | cut -c1-200
}

run none 200
grep -q '^none: found in 0 of' "$copy/results" || exit 1
for patch in "$here"/*"$pattern"*.patch; do
    basename "$patch" .patch
done >"$copy/names"
running=0
while read -r name; do
    run "$name" "$seeds" &
    running=$((running + 1))
    if [ "$running" -ge "${JOBS:-2}" ]; then
        wait
        running=0
    fi
done <"$copy/names"
wait
! grep -v '^none' "$copy/results" | grep -E 'found in 0 of|no result'
