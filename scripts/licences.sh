#!/bin/sh
# Prints the licences of the crates in the library, each once, as most licences demand: sh scripts/licences.sh [TARGET]
set -eu
cd "$(dirname "$0")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
files=$(mktemp)
trap 'rm -f "$files"' EXIT
cat <<'TEXT'
The library of plexindex holds code of the crates below, each under its own licence, and SQLite, which is in the public domain.
Rust's standard library is under MIT or Apache-2.0, and LLVM's runtime library under Apache-2.0 with its exception.
TEXT
seen=' '
cargo tree --locked --edges normal --target "$target" --package plexindex-capi --prefix none \
    --format '{p} | {l}' | sed 's/ ([*])$//' | sort -u | grep -vE '^[^|]* [(]|^plexindex|^$' |
    while read -r name version _ licence; do
    printf '\n== %s %s: %s\n' "$name" "$version" "$licence"
    find "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-${version#v}" -maxdepth 1 -type f \
        \( -iname 'licen*' -o -iname 'copying*' -o -iname 'notice*' \) | sort >"$files"
    while read -r file; do
        sum=$(cksum <"$file" | tr ' ' -)
        case $seen in *" $sum "*) echo "its ${file##*/} equals a text above" ;; *) cat "$file" ;; esac
        seen="$seen$sum "
    done <"$files"
done
