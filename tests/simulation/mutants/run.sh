#!/bin/sh
# Brings each defect of this folder back in a copy of the tree, and counts the seeds in which the simulation finds it.
#   sh tests/simulation/mutants/run.sh [SEEDS] [PATTERN]
# Builds go to $CARGO_TARGET_DIR, or to a folder beside the copy. Exits with 1 when a defect is not found.
set -eu
seeds=${1:-200}
pattern=${2:-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$copy/target}"
missed=0
mkdir "$copy/tree"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf -) | (cd "$copy/tree" && tar xf -)
cd "$copy/tree"
for patch in "$here"/*"$pattern"*.patch; do
    patch -s -p1 <"$patch"
    # As of now, so that a build with the copy's dates sees it.
    sed -n 's|^+++ b/||p' "$patch" | xargs touch
    cargo test -q --release --test simulation --no-run
    out=$(PLEXINDEX_SEED=0 PLEXINDEX_SEEDS="$seeds" cargo test -q --release --test simulation histories_for_long -- --ignored --nocapture 2>&1 || true)
    line=$(printf '%s\n' "$out" | grep ' histories, ' || echo 'no result')
    printf '%s: %s\n' "$(basename "$patch" .patch)" "$line"
    case $line in
        *', 0 failed,'* | 'no result') missed=1 ;;
    esac
    patch -s -R -p1 <"$patch"
    sed -n 's|^+++ b/||p' "$patch" | xargs touch
done
exit $missed
