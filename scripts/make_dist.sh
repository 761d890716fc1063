#!/bin/sh
# Packs the last commit and all crates into build/dist, for builds without a network: `make dist`.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml) out=$PWD/build/dist
name=plexindex-$version
[ -z "$(git status --porcelain)" ] || echo 'warning: the archive lacks changes that are not committed' >&2
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
    # Remove the libraries for Windows in some crates, because a source archive must not contain binaries. cargo checks
    # only the files that the checksum file lists.
    for crate in $(find vendor \( -name '*.a' -o -name '*.lib' -o -name '*.dll' \) -delete -print | cut -d/ -f1-2 | sort -u); do
        sed 's/"files":{[^}]*}/"files":{}/' "$crate/.cargo-checksum.json" >checksum && mv checksum "$crate/.cargo-checksum.json"
    done
)
# The same commit always gives the same archive. macOS has GNU tar, if at all, as gtar, and no sha256sum.
"$(command -v gtar || echo tar)" --sort=name --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "$out" -cJf "$out/$name.tar.xz" "$name"
rm -r "${out:?}/$name"
(cd "$out" && { sha256sum "$name.tar.xz" 2>/dev/null || shasum -a 256 "$name.tar.xz"; } | tee "$name.tar.xz.sha256")
