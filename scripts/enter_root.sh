#!/bin/sh
# Runs a command in a root folder, in a namespace of its own: nothing of this machine changes, and no daemon is needed.
#   enter_root.sh ROOT EMULATOR FOLDERS COMMAND [ARGUMENT ...]
# EMULATOR is qemu's name of the processor, or empty. FOLDERS, with colons between them, are seen there, too.
set -eu
case ${IN_NAMESPACE-} in
'') IN_NAMESPACE=yes exec unshare --user --map-root-user --mount "$0" "$@" ;;
esac
unset IN_NAMESPACE
root=$1 emulator=$2 folders=$3
shift 3
if [ -n "$emulator" ]; then
    # So the kernel starts the emulator for each program of that processor: for children, too. From Linux 6.7 on a
    # namespace has such a table of its own.
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
    sed -n "s,^\(:qemu-$emulator:.*:\)/.*,\1$(command -v "qemu-$emulator-static"):F,p" \
        "/usr/lib/binfmt.d/qemu-$emulator.conf" >/proc/sys/fs/binfmt_misc/register
fi
IFS=:
for folder in /proc /dev $folders; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
done
# chroot goes to the root; the command stays in this folder.
# shellcheck disable=SC2016
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
