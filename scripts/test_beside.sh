#!/bin/sh
# Builds and runs programs that use plexindex beside another crate that links SQLite, and tests the library with the
# oldest rusqlite of the range in Cargo.toml: cargo links one SQLite into a program, so the range decides which crates
# can be used beside plexindex. Cargo.lock has the newest.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
rm -rf build/beside build/oldest
# In build, cargo writes no Cargo.lock to the checkout. Each program is as deep there as in tests.
cp -R tests/beside build/beside
for manifest in build/beside/*/Cargo.toml; do
    "$cargo" run --quiet --manifest-path "$manifest" --target-dir target/beside
    "$cargo" tree --manifest-path "$manifest" --invert libsqlite3-sys --depth 1
done
mkdir build/oldest
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf - | tar -xf - -C build/oldest
cd build/oldest
oldest=$(sed -n 's/^rusqlite = { version = ">=\([0-9.]*\),.*/\1.0/p' Cargo.toml)
"$cargo" update --package rusqlite --precise "$oldest"
"$cargo" nextest run --package plexindex --package plexindex-matching --lib --target-dir ../../target/oldest
