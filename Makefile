# plexindex. `make help` lists the commands. All output goes to target/ and build/.
PYTHON ?= python3
CARGO ?= cargo
ITEMS ?= 20000
PORT ?= 32400
PREFIX ?= /usr/local
LIBDIR ?= lib
export CARGO PYTHON LIBRARY FILE TIME RUNS TARGETS ONLY PLATFORMS
# Nothing is left beside target and build.
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/build/caches/python
export RUFF_CACHE_DIR ?= $(CURDIR)/build/caches/ruff
export MYPY_CACHE_DIR ?= $(CURDIR)/build/caches/mypy

SUITES = sh scripts/suites.sh
PACKED = $(or $(CARGO_TARGET_DIR),target)/package
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

# What demos run in. cargo decides what of the package is out of date.
build/demo/made:
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip --disable-pip-version-check -q install 'hatchling>=1.27,<2'
	touch $@
DEMO = $(CARGO) build --release --package plexindex-standin && PLEXINDEX_CARGO_PROFILE=release \
	build/demo/bin/pip --disable-pip-version-check -q install --no-build-isolation --no-deps --force-reinstall ./bindings/python && \
	PLEX_TOKEN='$(TOKEN)' TOKEN= build/demo/bin/python
STANDIN = $(or $(CARGO_TARGET_DIR),target)/release/standin

demo: needs-demo build/demo/made ## the main job, on a stand-in server; or on yours: SERVER=http://… TOKEN=… LIBRARY=Movies FILE=…
	@$(DEMO) demo/demo.py $(if $(SERVER),--server '$(SERVER)' $(if $(LIBRARY),--library "$$LIBRARY") $(if $(FILE),--file "$$FILE"),--standin $(STANDIN))
demo-hosts: needs-demo build/demo/made ## three hosts that share one PostgreSQL, started for the demo; it must be installed
	@$(DEMO) demo/hosts.py --standin $(STANDIN)
standin: needs-standin ## a stand-in Plex server in the foreground: ITEMS=20000 movies, a quarter as many episodes; PORT=32400
	@$(CARGO) build --release --package plexindex-standin
	@exec $(STANDIN) --spec tests/standin/readme.json --movies $(ITEMS) --episodes $$(($(ITEMS) / 4)) --port $(PORT)

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
SOURCES = bindings/python tests/python demo bench scripts docs/hosts docs/stash2plex/use_plexindex.py
LINT = clippy '$(CARGO) clippy --workspace --all-targets -- -D warnings' \
	rustdoc '$(CARGO) rustdoc --lib --package=plexindex -- -D warnings' \
	examples '$(CARGO) test --doc --package=plexindex --package=plexindex-matching --package=plexindex-sharing' \
	$(foreach target,$(shell for target in $(OTHERS); do \
		[ -d "$$(rustc --print=sysroot)/lib/rustlib/$$target" ] && echo $$target; done),$(target) \
		'CC_$(subst -,_,$(target))=$(CURDIR)/scripts/no_cc.sh $(CARGO) clippy --lib --package=plexindex --package=plexindex-sharing --target=$(target) -- -D warnings') \
	ruff 'build/venv/bin/ruff check $(SOURCES) && build/venv/bin/ruff format --check $(SOURCES)' \
	mypy 'build/venv/bin/mypy --strict && build/venv/bin/mypy --strict --config-file=bench/mypy.ini && cd bindings/python && ../../build/venv/bin/mypy --strict' \
	documents '$(MAKE) --no-print-directory docs'

test: needs-test ## the tests of Rust, C and Python, and formatting
	@$(SUITES) $(FORMAT) $(PREPARE) $(RUST) $(PYTHONS)
test-python: needs-test ## the tests of the Python package only
	@$(SUITES) $(PREPARE) $(PYTHONS)
test-languages: needs-test ## the bindings for Node.js and Go, if their toolchains are installed
	@$(SUITES) $(PREPARE) $(LANGUAGES)
lint: needs-lint ## clippy, rustdoc, ruff, mypy, the references
	@$(SUITES) $(PREPARE) $(LINT)
ci: needs-test needs-lint ## what .ci/run runs: lint, test, test-languages
	@$(SUITES) $(FORMAT) $(PREPARE) $(LINT) $(RUST) $(PYTHONS) $(LANGUAGES)

DEEP = 'unit tests in full' 'PLEXINDEX_SEEDS=16 PLEXINDEX_STEP=1 PROPTEST_CASES=1000 $(NEXTEST) --release --package plexindex --package plexindex-matching --package plexindex-sharing' \
	faults '$(NEXTEST) --profile deep --release --run-ignored only --workspace' \
	'compilers and valgrind' '$(NEXTEST) --package plexindex-capi --run-ignored only' \
	languages 'PLEXINDEX_TEST_DEEP=1 $(PYTHON) scripts/languages.py' \
	Python '$(PYTEST) -m "deep or packaging" tests/python' \
	'Python without accelerator' 'PLEXINDEX_NO_ACCELERATOR=1 $(PYTEST) -n 4 --dist loadfile -m "not packaging" tests/python'
check-deep: needs-test needs-test-install ## long fault tests, valgrind, all compilers, other processors, Windows, packages: an hour or two
	@$(SUITES) $(PREPARE) $(DEEP) $(ARM) $(WINDOWS)

CROSS = $(NEXTEST) --config tests/cross.toml --package plexindex --package plexindex-matching --package plexindex-sharing --package plexindex-tests
# Left out: what measures or runs other programs, and in the emulator what starts itself again or takes long there.
ARM = i686 '$(CROSS) --target i686-unknown-linux-gnu -E "not binary(/hosts|simulation|allocations/)"' \
	armv7 '$(CROSS) --target armv7-unknown-linux-gnueabihf \
		-E "kind(lib) - test(plan_tests) + test(/^(edits|on_disk|questions|source_contract)::/)"'
WINDOWS = Windows 'sh scripts/test_windows.sh'

test-arm: needs-test ## the library on 32-bit x86, and on 32-bit ARM in qemu: docs/contributing.md has the packages
	@$(SUITES) $(ARM)
test-windows: ## the Rust tests of the library for Windows, under wine: docs/install.md has the packages
	@$(SUITES) $(WINDOWS)
test-install: needs-test-install ## what `make install` makes, with link-time optimisation
	@$(SUITES) $(PREPARE) install '$(PYTEST) -m packaging tests/python/test_install.py'
test-clean: ## .ci/run in empty Debian roots, as root: ONLY=bookworm, ONLY="readme trixie"
	sh scripts/test_clean.sh $(ONLY)
mutants: ## check that the simulation finds old defects that patches bring back: SEEDS=2000 of each at most, ONLY=data-06
	sh tests/simulation/mutants/run.sh $(or $(SEEDS),2000) $(ONLY)
fuzz: ## the fuzz targets, by cargo-fuzz: TIME=60 seconds each, or RUNS=1000000; TARGETS="paths …"
	sh scripts/fuzz.sh
sanitize: ## C, C++, SQLite and Python under AddressSanitizer, UBSan, ThreadSanitizer, Miri: ONLY="address python thread miri"
	sh scripts/sanitize.sh
bench: ## side by side with peers, at most 40 minutes: bench/README.md; SIZES="10000 100000", QUICK=1, ONLY="lookups …"
	$(PYTHON) bench/run.py $(if $(SIZES),--sizes $(SIZES)) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))
# Panics name files of the sources, and no folder of the builder.
install: needs-install ## the library for C, by cargo-c, with pkg-config and CMake files: PREFIX=/usr/local DESTDIR= LIBDIR=lib
	RUSTFLAGS="$$RUSTFLAGS --remap-path-prefix=$(CURDIR)=plexindex --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo" \
		$(CARGO) cinstall --locked --package plexindex-capi --profile dist --library-type cdylib \
		--prefix '$(PREFIX)' --libdir '$(PREFIX)/$(LIBDIR)' $(if $(DESTDIR),--destdir '$(DESTDIR)')
uninstall: ## remove what `make install` made with the same PREFIX and LIBDIR
	cd '$(DESTDIR)$(PREFIX)' && rm -rf include/plexindex.h include/plexindex.hpp share/licenses/plexindex \
		share/cmake/plexindex '$(LIBDIR)'/libplexindex.so* '$(LIBDIR)/pkgconfig/plexindex.pc'
header: ## renew the headers and plexindex.json in include from bindings/c/src, and the bindings' declarations
	$(PYTHON) scripts/renew_header.py
abi: ## renew docs/abi.txt from the headers in include, and list what changed incompatibly
	$(PYTHON) scripts/abi.py
api: ## list what the crate offers to Rust, by cargo-public-api and a nightly compiler
	$(CARGO) public-api --package plexindex --simplified --simplified
docs: build/venv/made ## the site of documents, by mkdocs, with pdoc's reference of Python: build/docs/index.html
	rm -rf build/pages && mkdir -p build/pages
	git ls-files -z --cached --others --exclude-standard | grep -zvE '^(src|crates|fuzz/corpus)' | tar --null -cT - --ignore-failed-read 2>/dev/null | tar -xC build/pages
	PYTHONPATH=bindings/python/src build/venv/bin/pdoc --docformat google --no-show-source -o build/pages/reference plexindex
	build/venv/bin/mkdocs build --quiet --strict --config-file docs/mkdocs.yml
wheel: needs-wheel ## wheels in build/wheels, for this platform; PLATFORMS="manylinux_aarch64 musllinux_x86_64 …" or all
	sh scripts/make_wheel.sh
dist: ## the sources with all crates, for packagers: build/dist/plexindex-VERSION.tar.xz builds offline
	sh scripts/make_dist.sh
# While `publish = false` stands there, cargo looks for these in the registry.
PATCH = --config 'patch.crates-io.plexindex-matching.path="crates/matching"' --config 'patch.crates-io.plexindex.path="."'
release: ## wheels, the sources and the crates in build/release, all that this machine can make; PLATFORMS as for wheel
	rm -rf build/release build/wheels $(PACKED)/*.crate
	$(MAKE) wheel PLATFORMS='$(or $(PLATFORMS),all)'
	$(MAKE) dist
	$(CARGO) package --locked --package plexindex-matching --package plexindex --package plexindex-sharing $(PATCH)
	mkdir -p build/release && cp build/wheels/*.whl build/dist/*.tar.xz $(PACKED)/*.crate build/release
clean: ## remove all output
	$(CARGO) clean
	rm -rf build
