# plexindex. `make help` lists what there is.
#
# Needs a Rust toolchain, a C compiler and Python 3.9 or newer with its venv module; the tests a C++ compiler and nm too.
# All that is made lies in target/ and build/.

PYTHON ?= python3
CARGO ?= cargo
ITEMS ?= 20000
PORT ?= 0

export CARGO
export SERVER TOKEN LIBRARY FILE TIME RUNS TARGETS MERGE ONLY TESTS
# The stand-in and the demo's library, built by one command, so that nothing is built twice.
RELEASE = $(CARGO) build --release --workspace --lib --bins

.PHONY: help build header demo standin pictures docs bench test test-rust test-python check-deep fuzz fuzz-planted sanitize coverage deny lint valgrind clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

build: ## the library, optimised: target/release/libplexindex.so and .a
	$(CARGO) build --release --lib

header: ## renew include/plexindex.h from src/capi
	$(PYTHON) scripts/renew_header.py

demo: ## the main job, on a stand-in server; or on yours: SERVER=http://… TOKEN=… LIBRARY=Movies FILE=…
	$(RELEASE)
	$(PYTHON) scripts/run_demo.py

standin: ## a stand-in Plex server in the foreground: ITEMS=20000 movies, a quarter as many episodes; PORT=32400
	$(CARGO) build --release --quiet --package plexindex-standin
	$(CARGO) run --release --quiet --package plexindex-standin -- --movies $(ITEMS) --episodes $$(($(ITEMS) / 4)) --port $(PORT)

pictures: ## the pictures of the command in README, from its output: docs/pictures
	$(RELEASE)
	$(PYTHON) scripts/make_pictures.py

docs: ## the reference of the Python package, from its docstrings: build/docs/index.html
	$(PYTHON) scripts/make_docs.py

bench: ## side by side with peers: bench/README.md; SIZES="10000 100000 1000000", QUICK=1, ONLY="lookups …"
	$(PYTHON) bench/run.py $(if $(SIZES),--sizes $(SIZES)) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

test: ## every test there is
	$(PYTHON) scripts/run_tests.py

test-rust: ## the Rust tests and the C programs only
	$(PYTHON) scripts/run_tests.py rust

test-python: ## ruff, mypy, and the tests of the Python package only
	$(PYTHON) scripts/run_tests.py python

check-deep: ## the long fault tests in full (docs/faults.md): kills, power cuts, damage, load; PLEXINDEX_DEPTH=N scales them
	$(CARGO) test --test processes --test disk --test hostile --test limit -- --ignored
	$(CARGO) test --release --test simulation -- --ignored

fuzz: ## the fuzz targets, guided by coverage: TIME=60 seconds each, or RUNS=1000000; TARGETS="paths …"
	$(PYTHON) scripts/run_fuzz.py

fuzz-planted: ## whether the fuzzer finds a read out of bounds that is planted
	$(PYTHON) scripts/run_fuzz.py planted

sanitize: ## C, C++, SQLite and Python under AddressSanitizer, UBSan and ThreadSanitizer: ONLY="address python thread"
	$(PYTHON) scripts/run_sanitize.py

coverage: ## which lines of src the tests run; TESTS="--lib" for some tests
	$(PYTHON) scripts/run_coverage.py

deny: ## licences and advisories of all crates, with cargo-deny
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is not installed: cargo install --locked cargo-deny"; exit 1; }
	$(CARGO) deny check

lint: ## cargo fmt --check and clippy only
	$(PYTHON) scripts/run_tests.py lint

valgrind: ## the C programs under valgrind only
	$(PYTHON) scripts/run_tests.py valgrind

clean: ## remove all that was made
	$(CARGO) clean
	rm -rf build
