#!/bin/sh
# Runs tests under sanitizers: `make sanitize`, or ONLY="address python thread miri".
#
#   address   runs the C and C++ programs under AddressSanitizer with leak checks, and UBSan; instruments the library too
#   python    runs Python tests under AddressSanitizer; ignores leaks without a frame of the library
#   thread    runs the unit tests that use threads under ThreadSanitizer; also instruments the standard library
#   miri      runs unit tests of segments, memtables and resolution in Miri
#
# thread and miri need a nightly compiler with rust-src and miri. Each sanitizer first has to find the planted defects
# in tests/sanitize.
set -u
cd "$(dirname "$0")/.." || exit
cargo=${CARGO:-cargo} cc=${CC:-cc} place=$PWD/tests/sanitize out=$PWD/build/sanitize
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$out" && rm -rf "$out"/*.log "$out/stores" "$out/reports" && mkdir "$out/stores"
failed=0
result() { # name, code
    if [ "$2" = 0 ]; then echo "passed: $1"; else echo "FAILED: $1" && failed=$((failed + 1)); fi
}

# Instruments Rust and C with AddressSanitizer, and C with UBSan.
instrument() {
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Cforce-frame-pointers=yes' CARGO_TARGET_DIR="$PWD/target/sanitize/address"
    export CFLAGS='-g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
    export CXXFLAGS="$CFLAGS" UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS="suppressions=$place/leaks.supp:print_suppressions=0"
    # SQLite defines one array under two names, which is not an error.
    export ASAN_OPTIONS=detect_leaks=1:detect_odr_violation=0:allocator_may_return_null=1
    built=$CARGO_TARGET_DIR/$host/debug/deps
    # With a target, cargo does not instrument build scripts.
    $cargo test --locked --target "$host" --package plexindex-capi --test c --no-run
}

planted() { # a mistake, and what its report must say, including whose code it is
    "$out/planted" "$1" "$out/stores/$1" >"$out/$1.log" 2>&1
    code=$?
    tr '\n' ' ' <"$out/$1.log" | grep -qE "$2" && [ $code != 0 ]
    result "planted $1" $?
}

address() {
    instrument &&
        rustc --edition=2024 --crate-type=cdylib -g $RUSTFLAGS -o "$out/libplanted.so" "$place/planted.rs" &&
        $cc $CFLAGS -I include "$place/planted.c" "-L$out" -lplanted "-L$built" -lplexindex -pthread \
            "-Wl,-rpath,$out" "-Wl,-rpath,$built" -o "$out/planted" || { result 'address: build' 1 && return; }
    planted overflow 'AddressSanitizer: heap-buffer-overflow.*WRITE of size.*libplexindex'
    planted leak 'Direct leak of.*plexindex_open'
    planted undefined 'planted\.c:[0-9]+:[0-9]+: runtime error: signed integer overflow'
    planted rust-overflow 'AddressSanitizer: heap-buffer-overflow.*READ of size 1.*planted_read'
    planted rust-leak 'Direct leak of 1000 byte.*planted_leak'
    symbols=$(nm "$CARGO_TARGET_DIR/$host"/debug/build/libsqlite3-sys-*/out/libsqlite3.a 2>/dev/null)
    for name in __asan_report_load8 __ubsan_handle_pointer_overflow_abort; do
        case $symbols in *$name*) result "SQLite is instrumented: $name" 0 ;; *) result "SQLite is instrumented: $name" 1 ;; esac
    done
    # Skip the README's commands, which use no sanitizer. A leak in an unloaded library has no symbols, so this script
    # cannot suppress the known leak (tests/c/valgrind.supp). valgrind checks the programs that have it.
    # A program that hangs is ended.
    test="timeout 600 $cargo test --locked --target $host --package plexindex-capi --test c --"
    $test capi_c:: abi:: --skip=the_readme --skip=every_program --skip=reload
    result 'C programs' $?
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 $test capi_c::reload
    result 'C programs, unloaded' $?
    some "$cargo test --locked --target $host --package plexindex-abi --lib --" blocks_tests::
    result 'blocks' $?
}

ours() { # reports of errors, and of leaks with the library in their stack
    awk 'BEGIN { RS = "" } /ERROR: AddressSanitizer|runtime error/ || / leak of / && /libplexindex/ { print FILENAME ": " $0 "\n" }' \
        "$out"/reports/* 2>/dev/null
}

some() { # a command that takes filters, and filters: runs it if each filter matches a test
    command=$1 names=$($1 --list 2>/dev/null) && shift
    for filter; do
        case $names in *"$filter"*) ;; *) result "no test has $filter in its name" 1 && return 1 ;; esac
    done
    $command "$@"
}

pytests() { # what pytest is called with; reports go to files, one a process, since tests read the output of programs
    rm -rf "$out/reports" && mkdir "$out/reports"
    LD_PRELOAD="$($cc -print-file-name=libasan.so) $($cc -print-file-name=libubsan.so)" PYTHONMALLOC=malloc \
        ASAN_OPTIONS="$ASAN_OPTIONS:log_path=$out/reports/report" UBSAN_OPTIONS="$UBSAN_OPTIONS:log_path=$out/reports/report" \
        LSAN_OPTIONS="$LSAN_OPTIONS:exitcode=0" PLEXINDEX_STANDIN="$standin" "$out/venv/bin/python" -m pytest -q "$@"
}

python() {
    standin=$PWD/target/debug/standin
    $cargo build --locked --package plexindex-standin && instrument &&
        ${PYTHON:-python3} -m venv "$out/venv" && "$out/venv/bin/pip" -q install -r scripts/requirements-test.txt &&
        PLEXINDEX_PREBUILT=$built/libplexindex.so \
            "$out/venv/bin/pip" -q install --no-build-isolation --no-deps --force-reinstall ./bindings/python ||
        { result 'python: build' 1 && return; }
    pytests --rootdir="$place" "$place/planted_leak.py"
    ours | grep -q plexindex_open
    result 'planted leak in Python' $?
    pytests $(for name in answers bad_input changes lifetime stash2plex; do
        echo "tests/python/test_$name.py"
    done)
    result pytest $?
    ours | tee "$out/ours.log"
    [ ! -s "$out/ours.log" ]
    result "errors and leaks of ours, in $(ls "$out/reports" | wc -l) reports" $?
}

thread() {
    export RUSTUP_TOOLCHAIN=nightly RUSTFLAGS=-Zsanitizer=thread CARGO_TARGET_DIR="$PWD/target/sanitize/thread"
    export TSAN_OPTIONS="suppressions=$place/races.supp:allocator_may_return_null=1"
    [ -f "$(rustc --print=sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ] ||
        { echo 'skipped: thread: rustup component add --toolchain nightly rust-src' && return; }
    rustc --edition=2024 -g $RUSTFLAGS -Cunsafe-allow-abi-mismatch=sanitizer -o "$out/race" "$place/race.rs"
    "$out/race" >"$out/race.log" 2>&1
    tr '\n' ' ' <"$out/race.log" | grep -q 'ThreadSanitizer: data race.*race::count'
    result 'planted race' $?
    # Without this, ThreadSanitizer reports races in the locks of the standard library.
    some "$cargo test --locked -Zbuild-std --target $host --package plexindex --lib --" \
        platform:: engine::view events:: api::
    result thread $?
}

miri() {
    export RUSTUP_TOOLCHAIN=nightly MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR="$PWD/target/sanitize/miri"
    $cargo miri --version >/dev/null 2>&1 || { echo 'skipped: miri: rustup component add --toolchain nightly miri' && return; }
    ! rustup run nightly miri --edition=2024 --sysroot "$($cargo miri setup --print-sysroot 2>/dev/null)" "$place/freed.rs" \
        >"$out/freed.log" 2>&1 && grep -q 'Undefined Behavior' "$out/freed.log"
    result 'planted use after free' $?
    at=view::tests
    some "$cargo miri test --locked --package plexindex --lib --" $at::listing_segment::an_empty \
        $at::listing_segment::matches_know $at::listing_segment::each_show $at::resolution::equal_bytes \
        $at::resolution::a_newer_listing $at::resolution::the_later_of_two $at::memtable::a_memtable_holds
    result miri $?
}

for one in ${ONLY:-address python thread miri}; do
    ($one; exit $failed) || failed=1
done
[ $failed = 0 ]
