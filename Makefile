# plexindex. `make help` lists the commands. All output goes to target/ and build/.
PYTHON ?= python3
CARGO ?= cargo
ITEMS ?= 20000
PORT ?= 32400
export CARGO PYTHON PREFIX DESTDIR LIBDIR INCLUDEDIR MANDIR DATADIR
export SERVER TOKEN LIBRARY FILE TIME RUNS TARGETS MERGE ONLY TESTS
# Nothing is left beside target and build.
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/build/caches/python
export RUFF_CACHE_DIR ?= $(CURDIR)/build/caches/ruff
export MYPY_CACHE_DIR ?= $(CURDIR)/build/caches/mypy

SUITES = sh scripts/suites.sh
BUILT = $(or $(CARGO_TARGET_DIR),target)/debug
PYTEST = PLEXINDEX_STANDIN=$(abspath $(BUILT))/standin build/venv/bin/pytest -q
PIP = build/venv/bin/pip --disable-pip-version-check -q install
NEXTEST = $(CARGO) nextest run
# Windows, macOS, musl and 32 bits: the library is checked for those that `rustup target add` was called for.
OTHERS = aarch64-apple-darwin armv7-unknown-linux-gnueabihf x86_64-pc-windows-gnu x86_64-unknown-linux-musl

.PHONY: bench build demo docs fuzz
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

needs-%:
	@sh scripts/needs.sh $*

build: needs-build ## the library, optimised: target/release/libplexindex.so and .a
	$(CARGO) build --release --lib

demo: needs-demo ## the main job, on a stand-in server; or on yours: SERVER=http://… TOKEN=… LIBRARY=Movies FILE=…
	$(CARGO) build --release --workspace --lib --bins
	$(PYTHON) scripts/run_demo.py

demo-hosts: needs-demo ## three hosts that share one PostgreSQL, started for the demo; it must be installed
	$(CARGO) build --release --workspace --lib --bins
	$(PYTHON) scripts/run_demo.py hosts

standin: needs-standin ## a stand-in Plex server in the foreground: ITEMS=20000 movies, a quarter as many episodes; PORT=32400
	$(CARGO) run --release --package plexindex-standin -- --spec tests/standin/readme.json --movies $(ITEMS) --episodes $$(($(ITEMS) / 4)) --port $(PORT)

build/venv/made: scripts/requirements-test.txt
	$(PYTHON) -m venv --clear build/venv
	$(PIP) -r $<
	touch $@

# The wheel with the library and the accelerator of a debug build.
build/venv/installed: build/venv/made $(BUILT)/libplexindex.so $(BUILT)/libplexindex_accelerator.so $(shell git ls-files bindings/python)
	PLEXINDEX_PREBUILT=$(abspath $(BUILT))/libplexindex.so \
	PLEXINDEX_PREBUILT_ACCELERATOR=$(abspath $(BUILT))/libplexindex_accelerator.so \
		$(PIP) --no-build-isolation --no-deps --force-reinstall ./bindings/python
	touch $@

# Suites: a name and a command, see scripts/suites.sh.
FORMAT = format '$(CARGO) fmt --all --check'
# Tests wait often, so one more runs than there are processors.
RUST = Rust '$(NEXTEST) --workspace --test-threads $$(($$(getconf _NPROCESSORS_ONLN) + 1))'
PREPARE = build '$(CARGO) build --workspace --lib --bins --tests --examples && $(MAKE) --no-print-directory build/venv/installed'
PYTHONS = Python '$(PYTEST) -n 4 --dist loadfile tests/python' \
	'Python without accelerator' 'PLEXINDEX_NO_ACCELERATOR=1 $(PYTEST) -n 2 -m both tests/python'
LANGUAGES = languages '$(PYTHON) scripts/languages.py'
SOURCES = bindings/python tests/python tests/install demo bench scripts docs/hosts docs/stash2plex/use_plexindex.py
LINT = clippy '$(CARGO) clippy --workspace --all-targets -- -D warnings' \
	rustdoc '$(CARGO) rustdoc --lib --package=plexindex -- -D warnings' \
	examples '$(CARGO) test --doc --package=plexindex' \
	api '$(PYTHON) scripts/api.py --check' \
	$(foreach target,$(shell for target in $(OTHERS); do \
		[ -d "$$(rustc --print=sysroot)/lib/rustlib/$$target" ] && echo $$target; done),$(target) \
		'CC_$(subst -,_,$(target))=$(CURDIR)/scripts/no_cc.sh $(CARGO) clippy --lib --package=plexindex --target=$(target) -- -D warnings') \
	ruff 'build/venv/bin/ruff check $(SOURCES) && build/venv/bin/ruff format --check $(SOURCES)' \
	mypy 'build/venv/bin/mypy --strict && build/venv/bin/mypy --strict --config-file=bench/mypy.ini && cd bindings/python && ../../build/venv/bin/mypy --strict' \
	reference '$(PYTHON) scripts/make_docs.py'

test: needs-test ## the tests of Rust, C and Python, and formatting
	@$(SUITES) $(FORMAT) $(PREPARE) $(RUST) $(PYTHONS)

test-python: needs-test ## the tests of the Python package only
	@$(SUITES) $(PREPARE) $(PYTHONS)

test-languages: needs-test ## the bindings for Node.js, Go, LuaJIT, Ruby, C# and Java, if their toolchains are installed
	@$(SUITES) $(PREPARE) $(LANGUAGES)

lint: needs-lint ## clippy, rustdoc, ruff, mypy, the references
	@$(SUITES) $(PREPARE) $(LINT)

ci: needs-test needs-lint ## what .ci/run runs: lint, test, test-languages
	@$(SUITES) $(FORMAT) $(PREPARE) $(LINT) $(RUST) $(PYTHONS) $(LANGUAGES)

DEEP = 'unit tests in full' 'PLEXINDEX_SEEDS=16 PLEXINDEX_STEP=1 PROPTEST_CASES=1000 $(NEXTEST) --release --package plexindex' \
	faults '$(NEXTEST) --profile deep --release --run-ignored only --workspace' \
	'compilers and valgrind' '$(NEXTEST) --package plexindex-capi --run-ignored only' \
	languages 'PLEXINDEX_TEST_DEEP=1 $(PYTHON) scripts/languages.py' \
	'packages of languages' '$(PYTHON) scripts/language_packages.py' \
	Python '$(PYTEST) -m "deep or packaging" tests/python tests/install' \
	'Python without accelerator' 'PLEXINDEX_NO_ACCELERATOR=1 $(PYTEST) -n 4 --dist loadfile -m "not packaging" tests/python'

check-deep: needs-test ## long fault tests, valgrind, all compilers, other processors, Windows, packages: an hour or two
	@$(SUITES) $(PREPARE) $(DEEP) $(ARM) $(WINDOWS)

CROSS = $(NEXTEST) --config tests/cross.toml --package plexindex --package plexindex-tests
# Left out: what measures or runs other programs, and in the emulator what starts itself again or takes long there.
ARM = i686 '$(CROSS) --target i686-unknown-linux-gnu -E "not binary(/hosts|simulation|allocations/)"' \
	armv7 '$(CROSS) --target armv7-unknown-linux-gnueabihf \
		-E "kind(lib) - test(plan_tests) + test(/^(edits|on_disk|questions|source_contract)::/)"'
WINDOWS = Windows '$(PYTHON) scripts/windows_tests.py'

test-arm: needs-test ## the library on 32-bit x86, and on 32-bit ARM in qemu: docs/contributing.md has the packages
	@$(SUITES) $(ARM)

test-windows: needs-test ## the library for Windows, under wine: wine, gcc-mingw-w64-x86-64, rustup target x86_64-pc-windows-gnu
	@$(SUITES) $(WINDOWS)

test-install: needs-test ## what `make install` makes, with link-time optimisation
	@$(SUITES) $(PREPARE) install '$(PYTEST) -m packaging tests/install'

test-clean: ## .ci/run in empty Debian roots, as root: ONLY=bookworm, ONLY="trixie readme"
	sh scripts/test_clean.sh $(ONLY)

mutants: ## check that the simulation finds old defects that patches bring back: SEEDS=2000 of each at most, ONLY=data-06
	sh tests/simulation/mutants/run.sh $(or $(SEEDS),2000) $(ONLY)
fuzz: ## the fuzz targets, guided by coverage: TIME=60 seconds each, or RUNS=1000000; TARGETS="paths …"
	$(PYTHON) scripts/run_fuzz.py
sanitize: ## C, C++, SQLite and Python under AddressSanitizer, UBSan, ThreadSanitizer, Miri: ONLY="address python thread miri"
	$(PYTHON) scripts/run_sanitize.py
bench: ## side by side with peers: bench/README.md; SIZES="10000 100000 1000000", QUICK=1, ONLY="lookups …"
	$(PYTHON) bench/run.py $(if $(SIZES),--sizes $(SIZES)) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))
install: ## the library for C, with pkg-config and CMake files: PREFIX=/usr/local DESTDIR= LIBDIR=lib
	$(PYTHON) scripts/install.py install
uninstall: ## remove what `make install` made with the same PREFIX and DATADIR
	$(PYTHON) scripts/install.py uninstall
header: ## renew the headers and plexindex.json in include from bindings/c/src, and the bindings' declarations
	$(PYTHON) scripts/renew_header.py
abi: ## renew docs/abi.txt from the headers in include, and list what changed incompatibly
	$(PYTHON) scripts/abi.py
api: ## renew docs/api.txt, the list of what the crate offers to Rust, and list what goes
	$(PYTHON) scripts/api.py
docs: ## the site of documents, with the references of Python, C and C++: build/docs/index.html
	$(PYTHON) scripts/make_docs.py
wheel: ## wheels in build/wheels, for this platform; PLATFORMS="manylinux_aarch64 musllinux_x86_64 …" or all
	$(PYTHON) scripts/make_wheels.py $(PLATFORMS)
dist: ## the sources with all crates, for packagers: build/dist/plexindex-VERSION.tar.xz builds offline
	$(PYTHON) scripts/make_dist.py
release: ## all that users download, in build/release: PLATFORMS="manylinux_x86_64 …", STRICT=1 allows no gap; COMPARE=FOLDER compares
	$(PYTHON) scripts/make_release.py $(if $(COMPARE),--compare $(COMPARE),$(PLATFORMS))
try-release: ## install and use each file of build/release in an empty place: ONLY="wheels npm …", PYTHONS="…", STRICT=1
	$(CARGO) build --release --package plexindex-standin
	$(PYTHON) scripts/try_release.py $(ONLY)
clean: ## remove all output
	$(CARGO) clean
	rm -rf build
