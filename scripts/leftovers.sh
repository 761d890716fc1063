#!/bin/sh
# Runs a command, and fails if that leaves anything in the checkout beside target and build: scripts/leftovers.sh make test
cd "$(dirname "$0")/.." || exit
state() { git status --porcelain --ignored | grep -vE '^!! (target|build)/' | sort; }
before=$(mktemp) after=$(mktemp)
state >"$before"
"$@"
code=$?
state >"$after"
left=$(comm -13 "$before" "$after")
rm "$before" "$after"
[ -z "$left" ] && exit "$code"
printf '%s left in the checkout:\n%s\n' "$*" "$left" >&2
[ "$code" != 0 ] || code=1
exit "$code"
