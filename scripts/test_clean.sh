#!/bin/sh
# Runs .ci/run in an empty Debian system: scripts/test_clean.sh [readme] [bookworm] [trixie]. `readme` follows the
# README instead. The system has git, make and certificates. From this machine it gets only Rust, the settings of
# registries, and a clone of HEAD. The script needs debootstrap, and root or sub-ids for unshare. Its mounts and
# processes end with the namespace.
set -eu
if [ -z "${IN_NAMESPACE-}" ]; then
    map=''
    [ "$(id -u)" = 0 ] || map='--map-root-user --map-auto'
    # shellcheck disable=SC2086
    IN_NAMESPACE=yes exec unshare $map --mount --pid --fork --kill-child "$0" "$@"
fi
cd "$(dirname "$0")/.."
top=$PWD
roots=${PLEXINDEX_ROOTS:-/var/tmp/plexindex-roots}
cargo=${CARGO_HOME:-$HOME/.cargo}
# shellcheck disable=SC1091
here=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || here=''
mode=ci ci=yes
if [ "${1-}" = readme ]; then mode=readme ci='' && shift; fi
[ $# -gt 0 ] || set -- bookworm trixie
command -v debootstrap >/dev/null || { echo 'debootstrap is not installed: apt-get install debootstrap' >&2 && exit 1; }
mkdir -p "$roots"

make_root() { # suite: unpacked once
    [ ! -d "$roots/$1" ] || return 0
    rm -rf "$roots/$1.new"
    debootstrap --variant=minbase --include=ca-certificates,git,make "$1" "$roots/$1.new" >"$roots/$1.log"
    apt-config dump | grep -E '^Acquire::(http|https|Check)' >"$roots/$1.new/etc/apt/apt.conf.d/90this-machine" || true
    for file in ${here:+/etc/apt/sources.list /etc/apt/sources.list.d/debian.sources}; do
        rm -f "$roots/$1.new$file"
        # Other Debian releases have their packages at the same addresses.
        [ ! -f "$file" ] || sed "s/$here/$1/g" "$file" >"$roots/$1.new$file"
    done
    cp -a /usr/local/share/ca-certificates "$roots/$1.new/usr/local/share/" 2>/dev/null || true
    chroot "$roots/$1.new" update-ca-certificates >>"$roots/$1.log" 2>&1
    mv "$roots/$1.new" "$roots/$1"
}

fill_root() { # root
    mkdir -p "$1/opt/.cargo" "$1/opt/.rustup/toolchains" "$1/src"
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /usr/etc/npmrc; do
        [ ! -f "$file" ] || install -D -m 644 "$file" "$1$file"
    done
    cp -a "$cargo/bin" "$1/opt/.cargo/"
    for file in "$cargo/config.toml" "$cargo/env"; do [ ! -f "$file" ] || cp "$file" "$1/opt/.cargo/"; done
    [ ! -f "$HOME/.config/pip/pip.conf" ] || install -D "$HOME/.config/pip/pip.conf" "$1/opt/.config/pip/pip.conf"
    # This setting of npm names Node.js headers of this machine.
    [ ! -f "$HOME/.npmrc" ] || grep -v '^nodedir=' "$HOME/.npmrc" >"$1/opt/.npmrc" || true
    cp -a "$(realpath "$(rustc --print=sysroot)")" "$1/opt/.rustup/toolchains/"
    cp "${RUSTUP_HOME:-$HOME/.rustup}/settings.toml" "$1/opt/.rustup/"
    git clone --quiet --no-hardlinks "$top" "$1/src/plexindex"
    [ ! -d "$top/../shared" ] || cp -a "$top/../shared" "$1/src/"
    mount -t proc proc "$1/proc"
    for folder in /dev /sys; do mount --rbind "$folder" "$1$folder"; done
    mount -t tmpfs tmpfs "$1/dev/shm"
}

in_root() { # root, command of the shell
    settings=$(env | grep -iE '^(cargo_(net|http|registr|source)|pip_|npm_config_|ssl_|curl_|node_extra|git_ssl|requests_|[a-z]*_proxy=)') ||
        settings=''
    (
        IFS='
'
        # shellcheck disable=SC2086
        env -i $settings PATH=/opt/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            HOME=/opt LANG=C.UTF-8 ${ci:+CI=true} chroot "$1" /bin/sh -c "cd /src/plexindex && $2" </dev/null
    )
}

commands=.ci/run
if [ $mode = readme ]; then
    install=$(sed -n 's/^apt-get install \([a-z0-9 -]*[a-z0-9]\) .*/\1/p' README.md)
    commands="! make demo && apt-get update -qq && apt-get install -y -qq --no-install-recommends $install && make demo && make test"
fi
result=0
for suite; do
    make_root "$suite"
    rm -rf --one-file-system "$roots/$suite.run"
    cp -a "$roots/$suite" "$roots/$suite.run"
    fill_root "$roots/$suite.run"
    log=$roots/$suite.$mode.log
    in_root "$roots/$suite.run" "$commands" >"$log" 2>&1 || result=1
    echo "$suite: $(tail -n 1 "$log"): $log"
done
exit $result
