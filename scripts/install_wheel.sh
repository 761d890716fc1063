#!/bin/sh
# Installs the plexindex of a folder of wheels, and its dependencies: scripts/install_wheel.sh FOLDER ['[cli]']
# pip chooses the wheel from the folder alone, then installs that file by its path. By name, pip would prefer a higher
# version from the public index, where anybody can register the name.
set -eu
# A relative path, because Git's shell on Windows rewrites absolute ones.
chosen=$(mktemp -d ./wheel.XXXXXX)
trap 'rm -r "$chosen"' EXIT
pip download --no-index --no-deps --only-binary=:all: --find-links="$1" --dest="$chosen" plexindex
pip install --only-binary=:all: "$(echo "$chosen"/plexindex-*.whl)${2:-}"
