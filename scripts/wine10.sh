#!/bin/sh
# Runs a program with wine 10 of Debian 13, as root: make test-windows WINE=scripts/wine10.sh. Its root folder is made by
# debootstrap --variant=minbase --include=wine,wine64 trixie build/roots/wine10
exec unshare --mount -- sh -ec '
    at=$1 here=$PWD
    shift
    # debootstrap leaves it out.
    [ -e "$at/build/roots/wine10/etc/hosts" ] || echo 127.0.0.1 localhost >"$at/build/roots/wine10/etc/hosts"
    # Programs, folders, the sockets of its server and the DLLs of MinGW have the same names on both sides.
    for folder in /proc /dev /tmp "$at" /usr/x86_64-w64-mingw32 /usr/lib/gcc; do
        [ -d "$folder" ] || continue
        mkdir -p "$at/build/roots/wine10$folder"
        mount --bind "$folder" "$at/build/roots/wine10$folder"
    done
    exec chroot "$at/build/roots/wine10" sh -ec "cd \"\$0\" && exec wine \"\$@\"" "$here" "$@"
' wine10 "$(cd "$(dirname "$0")/.." && pwd)" "$@"
