#!/bin/sh
# Packs the last commit and all its crates, for a build without a network: `make dist`, into build/dist.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml) out=$PWD/build/dist
name=plexindex-$version
[ -z "$(git status --porcelain)" ] || echo 'what is not committed is left out' >&2
rm -rf "$out" && mkdir -p "$out/$name"
git archive HEAD | tar -x -C "$out/$name"
(
    cd "$out/$name"
    ${CARGO:-cargo} vendor --quiet --locked --versioned-dirs vendor >/dev/null
    cat >>.cargo/config.toml <<'CONFIG'

[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
CONFIG
    # A source archive has no binaries: a few crates bring libraries for Windows. cargo looks at the files that are listed only.
    for crate in $(find vendor \( -name '*.a' -o -name '*.lib' -o -name '*.dll' \) -delete -print | cut -d/ -f1-2 | sort -u); do
        sed -i 's/"files":{[^}]*}/"files":{}/' "$crate/.cargo-checksum.json"
    done
)
# The same commit gives the same bytes.
tar --sort=name --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "$out" -cJf "$out/$name.tar.xz" "$name"
rm -r "${out:?}/$name"
(cd "$out" && sha256sum "$name.tar.xz" | tee "$name.tar.xz.sha256")
