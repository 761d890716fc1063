# `make help` lists the commands. All output goes to target/ and build/.
PYTHON ?= python3
CARGO ?= cargo
ITEMS ?= 20000
PORT ?= 32400
PREFIX ?= /usr/local
LIBDIR ?= lib
export CARGO PYTHON LIBRARY FILE TIME RUNS TARGETS ONLY PLATFORMS
# Tools store their caches in build, so that the checkout stays clean.
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/build/caches/python
export RUFF_CACHE_DIR ?= $(CURDIR)/build/caches/ruff
export MYPY_CACHE_DIR ?= $(CURDIR)/build/caches/mypy

SUITES = sh scripts/suites.sh
TARGET = $(or $(CARGO_TARGET_DIR),target)
BUILT = $(TARGET)/debug
# A cold build that keeps nothing for the next one takes a seventh less time.
export CARGO_INCREMENTAL ?= $(if $(wildcard $(BUILT)),1,0)
DYLIB := $(filter Darwin,$(shell uname -s))
SHARED = libplexindex.$(if $(DYLIB),dylib,so)
PYTEST = PLEXINDEX_STANDIN=$(STANDIN) build/venv/bin/pytest -q
PIP = build/venv/bin/pip --disable-pip-version-check -q install
NEXTEST = $(CARGO) nextest run
comma = ,
# `make lint` checks the library for each of these targets that rustup has installed.
OTHERS = aarch64-apple-darwin armv7-unknown-linux-gnueabihf x86_64-pc-windows-gnu x86_64-unknown-linux-musl

.PHONY: bench build demo docs fuzz man
help: ## list the commands
	@awk -F ':[^#]*## ' '/^[a-z-]+:[^#]*## / { printf "  make %-17s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

needs-%:
	@sh scripts/needs.sh $*

build: needs-build ## build the optimised library: target/release/libplexindex.so and libplexindex.a
	$(CARGO) build --release --lib

# The demo runs in this virtual environment.
build/demo/made:
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip --disable-pip-version-check -q install 'hatchling>=1.27,<2' rich tomli
	touch $@
# One build of what the demo needs, without PostgreSQL, and without TLS unless it goes to your server.
STANDIN = $(abspath $(BUILT))/standin
DEMO = $(CARGO) build --package plexindex-standin --package plexindex-capi --lib --bins \
		--no-default-features $(if $(1),--features plexindex-abi/$(1)) && \
	PLEXINDEX_PREBUILT=$(abspath $(BUILT))/$(SHARED) \
	build/demo/bin/pip --disable-pip-version-check -q install --no-build-isolation --no-deps --force-reinstall ./bindings/python && \
	echo 'This build is not optimised: lookups take several times as long as with `pip install`.' && \
	PLEX_TOKEN='$(TOKEN)' TOKEN= build/demo/bin/python

demo: needs-demo build/demo/made ## show plexindex at work on a stand-in server, or on your server: SERVER=http://… TOKEN=… LIBRARY=Movies FILE=…
	@$(call DEMO,$(if $(SERVER),tls)) demo/demo.py $(if $(SERVER),--server '$(SERVER)' $(if $(LIBRARY),--library "$$LIBRARY") $(if $(FILE),--file "$$FILE"),--standin $(STANDIN))
demo-hosts: needs-demo build/demo/made ## show three hosts that share a PostgreSQL database; needs an installed PostgreSQL
	@$(call DEMO,shared) demo/hosts.py --standin $(STANDIN)
standin: needs-standin ## run a stand-in Plex server with ITEMS=20000 films and a quarter as many episodes: PORT=32400, or 0 for any free port
	@$(CARGO) build --package plexindex-standin
	@exec $(STANDIN) --spec tests/standin/readme.json --movies $(ITEMS) --episodes $$(($(ITEMS) / 4)) --port $(PORT)

build/venv/made: scripts/requirements-test.txt
	$(PYTHON) -m venv --clear build/venv
	$(PIP) -r $<
	touch $@

# Installs a wheel that contains the debug build of the library.
build/venv/installed: build/venv/made $(BUILT)/$(SHARED) $(shell git ls-files bindings/python)
	PLEXINDEX_PREBUILT=$(abspath $(BUILT))/$(SHARED) $(PIP) --no-build-isolation --no-deps --force-reinstall ./bindings/python
	touch $@

# Each suite is a name and a command for scripts/suites.sh.
FORMAT = format '$(CARGO) fmt --all --check'
# Tests often wait, so nextest runs three more tests at a time than there are processors.
RUST = Rust '$(if $(shell $(CARGO) nextest --version 2>/dev/null),$(NEXTEST) --workspace --test-threads $$(($$(getconf _NPROCESSORS_ONLN) + 3)),\
	echo "cargo-nextest also ends tests that hang: cargo install --locked cargo-nextest"; $(CARGO) test --workspace \
	--no-fail-fast --lib --bins --tests --config "target.\"cfg(unix)\".runner = [\"sh\"$(comma) \"$(CURDIR)/scripts/test_apart.sh\"]")'
PREPARE = build '$(MAKE) --no-print-directory build/venv/made & \
	$(CARGO) build --workspace --lib --bins --tests --examples && wait $$! && $(MAKE) --no-print-directory build/venv/installed'
# In the order of their names, because xdist would begin with the files that have the most tests, not with the longest.
PYTHONS = Python '$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder tests/python'
WHEELS = wheels '$(PYTEST) -m packaging tests/python/test_wheel.py'
LANGUAGES = languages '$(PYTHON) scripts/languages.py'
SOURCES = bindings/python tests/python tests/smoke.py demo bench scripts docs/hosts docs/stash2plex/use_plexindex.py
LINT = clippy '$(CARGO) clippy --workspace --all-targets -- -D warnings' \
	rustdoc '$(CARGO) rustdoc --lib --package=plexindex -- -D warnings' \
	examples '$(CARGO) test --doc --package=plexindex --package=plexindex-matching --package=plexindex-sharing' \
	$(foreach target,$(shell for target in $(OTHERS); do \
		[ -d "$$(rustc --print=sysroot)/lib/rustlib/$$target" ] && echo $$target; done),$(target) \
		'CC_$(subst -,_,$(target))=$(CURDIR)/scripts/no_cc.sh $(CARGO) clippy --lib --package=plexindex --package=plexindex-sharing --target=$(target) -- -D warnings') \
	ruff 'build/venv/bin/ruff check $(SOURCES) && build/venv/bin/ruff format --check $(SOURCES)' \
	mypy 'build/venv/bin/mypy --strict && build/venv/bin/mypy --strict --config-file=bench/mypy.ini && cd bindings/python && ../../build/venv/bin/mypy --strict' \
	pyright 'build/venv/bin/pyright --pythonpath build/venv/bin/python tests/python/test_types.py' \
	documents '$(MAKE) --no-print-directory docs'

test: needs-test ## test Rust, C and Python, and check the formatting
	@$(SUITES) $(FORMAT) $(PREPARE) $(RUST) $(PYTHONS)
test-python: needs-test ## test the Python package
	@$(SUITES) $(PREPARE) $(PYTHONS)
test-languages: needs-test ## test the Node.js and Go bindings, if these languages are installed
	@$(SUITES) $(PREPARE) $(LANGUAGES)
lint: needs-lint ## run clippy, rustdoc, ruff, mypy and pyright, and build the documents
	@$(SUITES) $(PREPARE) $(LINT)
ci: needs-test needs-lint ## run lint, test and test-languages, as CI does
	@$(SUITES) $(FORMAT) $(PREPARE) $(LINT) $(RUST) $(PYTHONS) $(WHEELS) $(LANGUAGES)

DEEP = 'unit tests in full' 'PLEXINDEX_SEEDS=16 PROPTEST_CASES=1000 $(NEXTEST) --release --package plexindex --package plexindex-matching --package plexindex-sharing' \
	loom 'RUSTFLAGS="--cfg loom" cargo test --release --target-dir target/loom --package plexindex --test loom' \
	faults 'PLEXINDEX_TEST_DEEP=1 PLEXINDEX_STEP=1 $(NEXTEST) --profile deep --release --run-ignored all --workspace' \
	$(foreach memory,early never,'records $(memory) in memory' 'PLEXINDEX_TEST_MEMORY=$(memory) $(NEXTEST) --release --package plexindex-tests -E "binary(behaviour) + binary(simulation)"') \
	'compilers and valgrind' '$(NEXTEST) --package plexindex-capi --run-ignored only' \
	'beside other crates' 'sh scripts/test_beside.sh' \
	languages 'PLEXINDEX_TEST_DEEP=1 $(PYTHON) scripts/languages.py' \
	Python '$(PYTEST) -m "deep or packaging" tests/python'
check-deep: needs-check-deep needs-test-install ## run the long tests, including valgrind, all compilers, other processors, Windows and packages; takes an hour or two
	@$(SUITES) $(PREPARE) $(DEEP) $(ARM) $(WINDOWS)

CROSS = $(NEXTEST) --config tests/cross.toml --package plexindex --package plexindex-matching --package plexindex-sharing --package plexindex-tests
# Excludes tests that measure, start other programs or are slow in the emulator.
ARM = i686 '$(CROSS) --target i686-unknown-linux-gnu -E "not binary(/hosts|simulation|allocations/)"' \
	armv7 '$(CROSS) --target armv7-unknown-linux-gnueabihf \
		-E "kind(lib) - test(plan_tests) + test(/^(on_disk|questions|source_contract)::/)"'
WINDOWS = Windows 'sh scripts/test_windows.sh'

test-arm: needs-test-arm ## test the library on 32-bit x86, and on 32-bit ARM in qemu; docs/contributing.md lists the packages
	@$(SUITES) $(ARM)
test-windows: ## test the library for Windows under wine
	@$(SUITES) $(WINDOWS)
test-install: needs-test-install ## test the files that `make install` installs, with link-time optimisation
	@$(SUITES) $(PREPARE) install '$(PYTEST) -m packaging tests/python/test_install.py'
test-stash2plex: needs-build ## run Stash2Plex's own tests with plexindex in place: STASH2PLEX=folder of a checkout
	$(CARGO) build --workspace --lib
	@$(MAKE) --no-print-directory build/venv/installed
	sh scripts/test_stash2plex.sh $(STASH2PLEX)
test-clean: ## run .ci/run in clean Debian systems; needs root: ONLY=bookworm, ONLY="readme trixie"
	sh scripts/test_clean.sh $(ONLY)
mutants: ## check that the simulation finds old defects, with at most SEEDS=2000 for each defect: ONLY=data-06
	sh tests/simulation/mutants/run.sh $(or $(SEEDS),2000) $(ONLY)
fuzz: ## run the fuzz targets with cargo-fuzz: TIME=60 seconds each, or RUNS=1000000; TARGETS="paths …"
	sh scripts/fuzz.sh
sanitize: ## run tests under AddressSanitizer, UBSan, ThreadSanitizer and Miri: ONLY="address python thread miri"
	sh scripts/sanitize.sh
bench: ## compare plexindex with other tools; see bench/README.md: SIZES="10000 100000", QUICK=1, ONLY="lookups …"
	$(PYTHON) bench/run.py $(if $(SIZES),--sizes $(SIZES)) $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))
VERSION = $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
SONAME = $(SHARED).$(firstword $(subst ., ,$(VERSION)))
INTO = $(DESTDIR)$(PREFIX)
define PKG_CONFIG
prefix=$(PREFIX)
libdir=$${prefix}/$(LIBDIR)
includedir=$${prefix}/include

Name: plexindex
Description: Tells which Plex item a file is, without asking the server
Version: $(VERSION)
Libs: -L$${libdir} -lplexindex
Cflags: -I$${includedir}
endef
export PKG_CONFIG
# Panic messages contain source file names, but must not contain this machine's folders.
install: needs-install ## install the C library, including files for pkg-config and CMake: PREFIX=/usr/local DESTDIR= LIBDIR=lib
	RUSTFLAGS="$$RUSTFLAGS --remap-path-prefix=$(CURDIR)=plexindex --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo" \
		$(CARGO) rustc --locked --package plexindex-capi --lib --crate-type cdylib --profile dist \
		--no-default-features --features shared,tls $(if $(DYLIB),,-- -C link-arg=-Wl,-soname,$(SONAME))
	mkdir -p '$(INTO)/include' '$(INTO)/$(LIBDIR)/pkgconfig' '$(INTO)/share/cmake/plexindex' '$(INTO)/share/licenses/plexindex'
	install -m 644 include/plexindex.h bindings/cpp/plexindex.hpp '$(INTO)/include'
	install -m 755 '$(TARGET)/dist/$(SHARED)' '$(INTO)/$(LIBDIR)/$(SHARED)$(if $(DYLIB),,.$(VERSION))'
	$(if $(DYLIB),,cd '$(INTO)/$(LIBDIR)' && ln -sf $(SHARED).$(VERSION) $(SONAME) && ln -sf $(SONAME) $(SHARED))
	printf '%s\n' "$$PKG_CONFIG" > '$(INTO)/$(LIBDIR)/pkgconfig/plexindex.pc'
	install -m 644 packaging/*.cmake '$(INTO)/share/cmake/plexindex'
	install -m 644 LICENSE-* '$(INTO)/share/licenses/plexindex'
uninstall: ## remove the files that `make install` installed with the same PREFIX and LIBDIR
	cd '$(DESTDIR)$(PREFIX)' && rm -rf include/plexindex.h include/plexindex.hpp share/licenses/plexindex \
		share/cmake/plexindex '$(LIBDIR)'/$(SHARED)* '$(LIBDIR)/pkgconfig/plexindex.pc'
header: ## generate the headers, plexindex.json, docs/methods.md and the bindings' declarations, and list what changed in the ABI
	$(PYTHON) scripts/renew_header.py
api: ## list the public Rust API, with cargo-public-api and a nightly compiler
	$(CARGO) public-api --package plexindex --simplified --simplified
man: build/venv/installed ## generate the manual page build/plexindex.1 from the command, as packages do
	build/venv/bin/python scripts/make_man.py > build/plexindex.1
docs: build/venv/made ## build the documents with mkdocs, and the Python reference with pdoc: build/docs/index.html
	rm -rf build/pages && mkdir -p build/pages
	git ls-files --cached --others --exclude-standard | grep -vE '^(src|crates|fuzz/corpus)' | \
		while read -r file; do [ ! -e "$$file" ] || echo "$$file"; done | xargs tar -cf - | tar -xf - -C build/pages
	PYTHONPATH=bindings/python/src PYTHONWARNINGS=error::UserWarning \
		build/venv/bin/pdoc --docformat google --no-show-source -o build/pages/reference plexindex \
			plexindex.aio plexindex.changes plexindex.library plexindex.media plexindex.testing plexindex.types
	build/venv/bin/mkdocs build --quiet --strict --config-file docs/mkdocs.yml
wheel: needs-wheel ## build wheels in build/wheels for this machine, or for PLATFORMS="manylinux_aarch64 musllinux_x86_64 …" or PLATFORMS=all
	sh scripts/make_wheel.sh
dist: ## pack the sources and all crates, so that packagers can build offline: build/dist/plexindex-VERSION.tar.xz
	sh scripts/make_dist.sh
# The crates are not published yet, so cargo must find them here, not in the registry.
PATCH = --config 'patch.crates-io.plexindex-matching.path="crates/matching"' --config 'patch.crates-io.plexindex.path="."'
# The list of the crates in the library, on all platforms. cargo-cyclonedx writes one beside each Cargo.toml, and names
# this machine's folders.
SBOM = bindings/c/library/plexindex-capi.cdx.json
release: needs-release ## build wheels, sources, crates and SBOMs in build/release, by default for all platforms; PLATFORMS as in `make wheel`
	rm -rf build/release build/wheels $(TARGET)/package/*.crate
	$(MAKE) wheel PLATFORMS='$(or $(PLATFORMS),all)'
	$(MAKE) dist
	$(CARGO) package --locked --package plexindex-matching --package plexindex --package plexindex-sharing $(PATCH)
	mkdir -p build/release && cp build/wheels/*.whl build/dist/*.tar.xz $(TARGET)/package/*.crate build/release
	$(CARGO) cyclonedx --quiet --format json --spec-version 1.5 --target all --no-build-deps
	sed 's,$(CURDIR),plexindex,g' $(SBOM) > build/release/$(notdir $(SBOM))
	git ls-files --others '*.cdx.json' ':!build' | xargs rm
	cd bindings/python && ../../build/wheel-tools/bin/python -m hatchling build -t sdist -d ../../build/release
clean: ## remove target and build
	$(CARGO) clean
	rm -rf build
