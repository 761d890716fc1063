# plexindex. `make help` lists the commands.
#
# Needs a Rust toolchain, a C compiler and Python 3.9 or newer with its venv module; the tests g++, clang++, nm and doxygen too.
# All output goes to target/ and build/.

PYTHON ?= python3
CARGO ?= cargo
ITEMS ?= 20000
PORT ?= 0

export CARGO
export PREFIX DESTDIR LIBDIR INCLUDEDIR MANDIR DATADIR
export SERVER TOKEN LIBRARY FILE TIME RUNS TARGETS MERGE ONLY TESTS
# One command builds the stand-in and the demo's library, so that nothing is built twice.
RELEASE = $(CARGO) build --release --workspace --lib --bins

.PHONY: help build install uninstall abi api header demo demo-hosts standin pictures docs bench test test-rust test-python test-install test-hosts test-languages test-windows test-arm check-deep mutants fuzz fuzz-planted sanitize coverage deny lint valgrind wheel try-wheels dist sdist release try-release clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

build: ## the library, optimised: target/release/libplexindex.so and .a
	$(CARGO) build --release --lib

install: ## the library for C, with pkg-config and CMake files: PREFIX=/usr/local DESTDIR= LIBDIR=lib
	$(PYTHON) scripts/install.py install

uninstall: ## remove what `make install` made with the same PREFIX and DATADIR
	$(PYTHON) scripts/install.py uninstall

abi: ## renew docs/abi.txt from the headers in include, and list what changed incompatibly
	$(PYTHON) scripts/abi.py

api: ## renew docs/api.txt, the list of what the crate offers to Rust, and list what goes
	$(PYTHON) scripts/api.py

header: ## renew the headers and plexindex.json in include from src/capi, and the bindings' declarations
	$(PYTHON) scripts/renew_header.py

demo: ## the main job, on a stand-in server; or on yours: SERVER=http://… TOKEN=… LIBRARY=Movies FILE=…
	$(RELEASE)
	$(PYTHON) scripts/run_demo.py

demo-hosts: ## three hosts that share one PostgreSQL, started for the demo; it must be installed
	$(RELEASE)
	$(PYTHON) scripts/run_demo.py hosts

standin: ## a stand-in Plex server in the foreground: ITEMS=20000 movies, a quarter as many episodes; PORT=32400
	$(CARGO) build --release --quiet --package plexindex-standin
	$(CARGO) run --release --quiet --package plexindex-standin -- --movies $(ITEMS) --episodes $$(($(ITEMS) / 4)) --port $(PORT)

pictures: ## the pictures of the command in README, from its output: docs/pictures
	$(RELEASE)
	$(PYTHON) scripts/make_pictures.py

docs: ## the site of documents, with the references of Python, C and C++: build/docs/index.html
	$(PYTHON) scripts/make_docs.py

bench: ## side by side with peers: bench/README.md; SIZES="10000 100000 1000000", QUICK=1, ONLY="lookups …"
	$(PYTHON) bench/run.py $(if $(SIZES),--sizes $(SIZES)) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

test: ## every test except those of other languages; WITH=languages adds these
	$(PYTHON) scripts/run_tests.py $(WITH:%=+%)

test-rust: ## the Rust tests and the C programs only
	$(PYTHON) scripts/run_tests.py rust

test-python: ## ruff, mypy, and the tests of the Python package only
	$(PYTHON) scripts/run_tests.py python

test-install: ## only the tests of what `make install` makes, with link-time optimisation
	$(PYTHON) scripts/run_tests.py install

test-hosts: ## only the tests of several hosts, which start PostgreSQL and pgbouncer
	$(PYTHON) scripts/run_tests.py hosts

test-languages: ## only the bindings for Node.js, Go, LuaJIT, Ruby, C# and Java, if the toolchain is installed
	$(PYTHON) scripts/run_tests.py languages

test-windows: ## only the library for Windows, under wine, if that and MinGW are installed
	$(PYTHON) scripts/run_tests.py windows

test-arm: ## only the library on 32-bit x86, and on 32-bit ARM in qemu, if their compilers are installed
	$(PYTHON) scripts/run_tests.py arm

check-deep: ## the long fault tests in full (docs/faults.md), one after another; PLEXINDEX_DEPTH=N scales them, ONLY="disk …"
	$(PYTHON) scripts/run_deep.py

mutants: ## check that the simulation finds old defects that patches bring back: SEEDS=2000 of each at most, ONLY=data-06
	sh tests/simulation/mutants/run.sh $(or $(SEEDS),2000) $(ONLY)

fuzz: ## the fuzz targets, guided by coverage: TIME=60 seconds each, or RUNS=1000000; TARGETS="paths …"
	$(PYTHON) scripts/run_fuzz.py

fuzz-planted: ## check that the fuzzer finds a planted read out of bounds
	$(PYTHON) scripts/run_fuzz.py planted

sanitize: ## C, C++, SQLite and Python under AddressSanitizer, UBSan, ThreadSanitizer, Miri: ONLY="address python thread miri"
	$(PYTHON) scripts/run_sanitize.py

coverage: ## count the lines of src that the tests run; TESTS="--lib" for some tests
	$(PYTHON) scripts/run_coverage.py

deny: ## licences and advisories of all crates, with cargo-deny
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is not installed: cargo install --locked cargo-deny"; exit 1; }
	$(CARGO) deny check

lint: ## cargo fmt --check, clippy and rustdoc only
	$(PYTHON) scripts/run_tests.py lint

valgrind: ## the C programs under valgrind only
	$(PYTHON) scripts/run_tests.py valgrind

wheel: ## wheels in build/wheels, for this platform; PLATFORMS="manylinux_aarch64 musllinux_x86_64 …" or all
	$(PYTHON) scripts/make_wheels.py $(PLATFORMS)

try-wheels: ## install and use these wheels: PYTHONS="python3.9 python3.13", each in an empty environment
	$(CARGO) build --release --quiet --package plexindex-standin
	$(PYTHON) scripts/try_wheels.py $(PYTHONS)

dist: ## the sources with all crates, for packagers: build/dist/plexindex-VERSION.tar.xz builds offline
	$(PYTHON) scripts/make_dist.py

sdist: ## the source distribution of the Python package, in build/wheels
	$(PYTHON) scripts/make_wheels.py sdist

release: ## all that users download, in build/release: PLATFORMS="manylinux_x86_64 …", STRICT=1 allows no gap; COMPARE=FOLDER compares
	$(PYTHON) scripts/make_release.py $(if $(COMPARE),--compare $(COMPARE),$(PLATFORMS))

try-release: ## install and use each file of build/release in an empty place: ONLY="wheels npm …", PYTHONS="…", STRICT=1
	$(CARGO) build --release --quiet --package plexindex-standin
	$(PYTHON) scripts/try_release.py $(ONLY)

clean: ## remove all output
	$(CARGO) clean
	rm -rf build
