#!/bin/sh
# Runs all suites one after another, even if some fail, and prints a table of the results:
#   suites.sh NAME COMMAND [NAME COMMAND ...]
# The script reads the counts that cargo-nextest, cargo test and pytest print, and `N passed, N failed`. A command that
# prints no counts is one test. A suite that leaves a file in the checkout fails. The last line has the sums.
set -u
log=build/suites
mkdir -p "$log"
files() { git status --porcelain --ignored 2>/dev/null | grep -vE " (target|build|bindings/node/node_modules)/$" | sort >"$log/$1"; }
files before
: >"$log/table"
while [ $# -gt 0 ]; do
    name=$1
    printf '\n== %s: %s\n' "$name" "$2"
    begin=$(date +%s)
    { sh -c "$2" 2>&1; echo $? >"$log/code"; } | tee "$log/output"
    files after
    new=$(comm -13 "$log/before" "$log/after") code=$(cat "$log/code")
    [ -z "$new" ] || printf '%s left files in the checkout:\n%s\n' "$name" "$new"
    awk -v name="$name" -v code="$code" -v new="$new" -v seconds=$(($(date +%s) - begin)) '
        function add(what, line) { if (match(line, "[0-9]+ " what)) return substr(line, RSTART) + 0; return 0 }
        { gsub(/\033\[[0-9;]*m/, "") }
        /^ *Summary \[/ || /^test result: / || /^(=+ .*)?[0-9]+ (passed|failed|error|skipped).* in [0-9.]+s/ || /^[0-9]+ passed, [0-9]+ failed/ {
            passed += add("passed", $0)
            failed += add("failed", $0) + add("error", $0) + add("timed out", $0)
        }
        END {
            if (!passed && !failed) passed = code == 0
            if (code != 0 && !failed) failed = 1
            if (new != "") failed++
            printf "%-28s %6d %6d %6d s\n", name, passed, failed, seconds
        }' "$log/output" >>"$log/table"
    shift 2
done
printf '\n%-28s passed failed\n' suite
cat "$log/table"
awk '{ passed += $(NF - 3); failed += $(NF - 2) } END { printf "\n%d passed, %d failed\n", passed, failed; exit failed > 0 }' \
    "$log/table"
