#!/bin/sh
# Checks whether this machine has what a Makefile target needs before the target builds anything:
#   scripts/needs.sh demo|test|lint|build|…
# One message names everything that is missing, and says how to install it. CARGO, CC and PYTHON select other programs.
command=${1:?name a command, such as demo or test}
missing='' packages='' remedies=''
break='
    '

lacks() { # what, its packages in Debian, another remedy
    missing="$missing${missing:+, }$1"
    packages="$packages${2:+ $2}"
    remedies="$remedies${3:+$break$3}"
}

# Tries to link a program: a compiler alone cannot, because the C library's headers are in another package.
links() {
    folder=$(mktemp -d)
    printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$folder/one.c"
    "${CC:-cc}" "$folder/one.c" -o "$folder/one" 2>/dev/null
    linked=$?
    rm -r "$folder"
    return $linked
}

if ! command -v "${CC:-cc}" >/dev/null; then
    lacks 'a C compiler' 'gcc libc6-dev'
elif ! links; then
    lacks 'the headers of the C library' libc6-dev
fi

cargo=${CARGO:-cargo}
version=$("$cargo" --version 2>/dev/null | awk -F'[ .]' '{ print $2 * 1000 + $3 }')
env=${CARGO_HOME:-$HOME/.cargo}/env
if [ -n "$version" ]; then
    [ "$version" -ge 1089 ] || lacks 'Rust 1.89 or newer' '' 'rustup update stable'
elif [ -e "$env" ]; then
    lacks 'cargo in PATH' '' ". $env"
else
    lacks 'Rust 1.89 or newer' '' 'Rust: https://rustup.rs'
fi
case $command in
test) tools=fmt ;;
check-deep | test-arm) tools='fmt nextest' ;;
lint) tools='fmt clippy' ;;
release) tools=cyclonedx ;;
*) tools='' ;;
esac
if [ "$command" = test-install ]; then
    for program in "${CXX:-c++}:g++" pkg-config:pkg-config cmake:cmake readelf:binutils; do
        command -v "${program%:*}" >/dev/null || lacks "${program%:*}" "${program#*:}"
    done
fi
for tool in ${version:+$tools}; do
    "$cargo" "$tool" --version >/dev/null 2>&1 && continue
    case $tool in
    nextest) lacks cargo-nextest '' 'cargo install --locked cargo-nextest' ;;
    cyclonedx) lacks cargo-cyclonedx '' 'cargo install --locked cargo-cyclonedx@0.5.9' ;;
    *) lacks "cargo $tool" '' 'rustup component add rustfmt clippy' ;;
    esac
done

python=${PYTHON:-python3}
case $command in
build | standin) ;;
*)
    "$python" -c 'import sys
if sys.version_info < (3, 9): sys.exit(3)
try: import ensurepip, venv
except ImportError: sys.exit(4)' 2>/dev/null
    case $? in
    0) ;;
    3) lacks 'Python 3.9 or newer' '' "$("$python" --version) is too old: name a newer one with PYTHON=…" ;;
    4) lacks "Python's venv module" python3-venv ;;
    *) lacks 'Python 3.9 or newer with its venv module' 'python3 python3-venv' ;;
    esac
    ;;
esac

[ -n "$missing" ] || exit 0
if [ -n "$packages" ] && command -v apt-get >/dev/null; then
    sudo=''
    [ "$(id -u)" = 0 ] || sudo='sudo '
    remedies="$break${sudo}apt-get update && ${sudo}apt-get install -y$packages$remedies"
elif [ -n "$packages" ]; then
    remedies="$break""your system's packages for$packages$remedies"
fi
echo "This machine lacks what 'make $command' needs: $missing. Install:$remedies" >&2
exit 1
