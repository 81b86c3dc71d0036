# Needs only Python 3.11, pip and make.
#
#   make demo    a simulated night, the daemon and its page      make test    the tests
#   make demo-relay   daemons and relays, some of which are killed (needs redis-server)
#   make bench   benchmark every stage against its budget and the baselines
#   make quick   only the fast tests                 make laws   property tests on fresh examples
#   make soak    the long tests, before a release
#   make setup   .venv/ with the nbad command                    make lint    make types
#   make install (as root) the systemd units and a configuration, for this checkout
#   make lock    resolve the dependencies of pyproject.toml again

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --only-binary :all: --require-hashes

.PHONY: setup install dev demo demo-relay bench test soak quick laws coverage analysis lint types \
  libgomp lock clean

setup: $(VENV)/.train

# The units name this checkout. An existing configuration is not changed.
install: setup
	$(BIN)/nbad install-service --root '$(DESTDIR)/'

dev: $(VENV)/.dev

demo: $(VENV)/.run
	$(BIN)/nbad demo $(DEMO)

demo-relay: $(VENV)/.run
	$(BIN)/python examples/relay_demo.py $(DEMO)

bench: $(VENV)/.train
	$(INSTALL) -r requirements/bench.txt
	$(BIN)/nbad bench $(BENCH)

# Let the processes that tests start use compiled modules, even if the machine's settings forbid it.
unexport PYTHONDONTWRITEBYTECODE

# More than there are cores: tests of processes mostly wait.
JOBS ?= 4
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) -m 'not soak' $(TESTS)

# The long tests: before a release, and after changing what they cover.
soak: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) -m soak $(TESTS)

quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) -m 'not slow and not soak' $(TESTS)

# The property tests, with new examples each time.
laws: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --hypothesis-profile fresh -m 'hypothesis and not slow'

# Includes branches; counts only code in the tests' own process.
coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) -m 'not slow and not soak' -q \
	  --cov nbad --cov-branch --cov-report term:skip-covered

# What reads an export: with it the tests of examples/read_export.py run too.
analysis: $(VENV)/.dev requirements/analysis.txt
	$(INSTALL) -r requirements/analysis.txt

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# Debian's python3 has no ensurepip without python3-venv: the machine's own pip then fills the
# environment. --python keeps Debian's "externally managed" mark out of it.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'nbad needs Python 3.11 or later: make PYTHON=python3.11' >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV) \
	  && $(PYTHON) -m venv --without-pip $(VENV) \
	  && $(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet \
	    --only-binary :all: --require-hashes -r requirements/pip.txt; }
	touch $@

$(VENV)/.run: requirements/run.txt pyproject.toml $(VENV)/.made
	$(INSTALL) -r requirements/run.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	touch $@

# LightGBM, which only training needs, needs the system's libgomp.so.1, which a bare Debian lacks.
# scikit-learn's wheel contains one; patchelf makes LightGBM look in its own folder.
LIGHTGBM = $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/lightgbm/lib
$(VENV)/.train: $(VENV)/.run
	@$(BIN)/python -c 'import lightgbm' 2>/dev/null || $(MAKE) --no-print-directory libgomp
	touch $@

libgomp:
	$(INSTALL) --no-deps --target $(VENV)/libgomp -r requirements/libgomp.txt
	cp $(VENV)/libgomp/scikit_learn.libs/libgomp-*.so.* $(LIGHTGBM)/libgomp.so.1
	$(VENV)/libgomp/bin/patchelf --set-rpath '$$ORIGIN' $(LIGHTGBM)/lib_lightgbm.so
	rm -r $(VENV)/libgomp
	$(BIN)/python -c 'import lightgbm'

$(VENV)/.dev: requirements/dev.txt requirements/axe.txt $(VENV)/.train
	$(INSTALL) -r requirements/dev.txt
	$(INSTALL) --no-deps -r requirements/axe.txt
	touch $@

# With the extras that packages ask of each other: pip takes a newer release for one that is not said.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-strip-extras --no-annotate --no-header --no-emit-index-url --no-emit-find-links

# What nba_api asks for and the daemon never imports: half of the container's size.
UNUSED := $(addprefix --no-emit-package ,pandas python-dateutil six tzdata requests urllib3 \
  charset-normalizer)

# Needs uv, of which nothing else here has need.
lock:
	$(LOCK) --extra all --group build -o requirements/run.txt pyproject.toml
	$(LOCK) --group build $(UNUSED) -c requirements/run.txt \
	  -o requirements/container.txt pyproject.toml
	$(LOCK) --group dev -c requirements/run.txt -o requirements/dev.txt
	$(LOCK) --group analysis -c requirements/run.txt -o requirements/analysis.txt
	$(LOCK) --group bench -c requirements/run.txt -o requirements/bench.txt
	$(LOCK) --no-deps --group axe -o requirements/axe.txt
	$(LOCK) --group pip -o requirements/pip.txt
	$(LOCK) --no-deps --group libgomp -o requirements/libgomp.txt

clean:
	rm -rf $(VENV)
