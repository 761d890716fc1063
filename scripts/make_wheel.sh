#!/bin/sh
# Builds wheels in build/wheels: `make wheel`. The default is a wheel for this machine, as quick to build as `pip install`
# in a checkout. PLATFORMS="musllinux_x86_64 …" or PLATFORMS=all builds the wheels of a release, in twice the time. zig
# from PyPI compiles and links, so wheels do not depend on this machine's C library.
set -eu
cd "$(dirname "$0")/.."
all='manylinux_x86_64 musllinux_x86_64 manylinux_aarch64 musllinux_aarch64 manylinux_armv7l'
platforms=${PLATFORMS:-manylinux_$(uname -m)} profile=${PLATFORMS:+dist}
profile=${profile:-quick}
[ "$platforms" != all ] || platforms=$all
tools=$PWD/build/wheel-tools wheels=$PWD/build/wheels built=${CARGO_TARGET_DIR:-$PWD/target}
if ! cmp -s scripts/requirements-wheel.txt "$tools/made"; then
    ${PYTHON:-python3} -m venv --clear "$tools"
    "$tools/bin/pip" --disable-pip-version-check -q install -r scripts/requirements-wheel.txt
    cp scripts/requirements-wheel.txt "$tools/made"
fi
mkdir -p "$wheels"
trap 'rm -f bindings/python/LICENSE-THIRD-PARTY' EXIT
PATH=$tools/bin:$PATH

for platform in $platforms; do
    cpu=${platform#*linux_} flags='' glibc=''
    case $platform in
    manylinux_x86_64 | manylinux_aarch64) target=$cpu-unknown-linux-gnu glibc=.2.17 tag=manylinux_2_17_$cpu ;;
    manylinux_armv7l) target=armv7-unknown-linux-gnueabihf glibc=.2.17 tag=manylinux_2_17_$cpu ;;
    # By default, musl's targets link the C library statically.
    musllinux_x86_64 | musllinux_aarch64) target=$cpu-unknown-linux-musl flags=-Ctarget-feature=-crt-static tag=musllinux_1_2_$cpu ;;
    *) echo "make wheel cannot build for $platform: use one of $all, or run pip wheel ./bindings/python there" >&2 && exit 1 ;;
    esac
    [ -d "$(rustc --print=sysroot)/lib/rustlib/$target" ] || { echo "no Rust for $platform: rustup target add $target" >&2 && exit 1; }
    sh scripts/licences.sh "$target" >bindings/python/LICENSE-THIRD-PARTY
    # Remove the folders of this machine from the names of source files in panic messages.
    RUSTFLAGS="$flags -Cstrip=symbols --remap-path-prefix=$PWD=plexindex --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
        cargo-zigbuild rustc --locked --package plexindex-capi --lib --crate-type cdylib --profile "$profile" \
        --no-default-features --features shared,tls --target "$target$glibc"
    (
        cd bindings/python
        export PLEXINDEX_PREBUILT="$built/$target/$profile/libplexindex.so" PLEXINDEX_PLATFORM_TAG=$tag
        python -m hatchling build -t wheel -d "$wheels"
    )
    # auditwheel must not search this machine's libraries: it fails for musl if it finds glibc's linker script
    # `libc.so`.
    said=$(auditwheel show --ldpaths=/nowhere "$wheels"/plexindex-*-"$tag.whl" | tr -s ' \n' ' ')
    case $said in
    *"following platform tag: \"$tag\""* | *"'$tag' the following "*"eliminated: libc.so"*) ;;
    *) echo "the wheel for $platform needs a newer system than its name says: $said" >&2 && exit 1 ;;
    esac
done
