# `make check` while you work; `make test`, `make conformance`, `make dist` and `make docs` before a push, which are what
# .ci/run runs; `make test-all` and `make matrix` before a release. Each makes the environment first, once.

PYTHON ?= python3.11
BIN := .venv/bin
# Another one, for `make test-python`.
PYTHON_VERSION ?= 3.12

# One file of pins for every pip that runs below, those of isolated builds too.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TF_CPP_MIN_LOG_LEVEL := 2

.DEFAULT_GOAL := help
.PHONY: help install check test test-all coverage conformance matrix test-oldest test-python test-gpu bench bench-gpu kernels calibrate judge-wild experiments sanitize test-aarch64 fuzz fuzz-triton fuzz-calls lint types docs dist clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

LIBRARY := dropblock_core/native/libdropblock.so

install: .venv/.stamp $(LIBRARY)  ## Make .venv, with everything pinned, and compile the C library.

# Where there is no compiler there is no file, and NumPy does its work.
$(LIBRARY): dropblock_core/native/dropblock.c dropblock_core/native/compile.py | .venv/.stamp
	$(BIN)/python dropblock_core/native/compile.py

# The stamp is newer than what the environment was made from, so a second run installs nothing.
# The frameworks are named here: tensorflow-cpu does not satisfy a requirement on tensorflow. Python compiles what is
# imported as it comes; to compile all that is installed takes a minute.
.venv/.stamp .venv-$(PYTHON_VERSION)/.stamp: pyproject.toml constraints.txt
	@echo "Making $(@D); the frameworks are large, so this takes minutes the first time."
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --no-compile torch jax tensorflow-cpu --editable '.[conformance,dev,experiments]'
	@touch $@

check: lint types  ## Lint, check types, run the core's tests and those of what you changed.
	$(FAST) $(TESTS) $$($(BIN)/python tests/of_changes.py)

# A thread a worker: more would only wait for one another. A file to a worker: its tests share what is dear to make.
TESTS = OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
# JAX compiles in two thirds of the time; `make test-all` has its optimizations.
FAST := JAX_DISABLE_MOST_OPTIMIZATIONS=1

# The type checker uses one core, so it runs beside the first tests.
test: install  ## Lint, check types, run the tests, some of them with the oldest dependencies too.
	@$(MAKE) --no-print-directory --jobs 2 --output-sync lint types test-oldest
	$(FAST) $(TESTS)

test-all: lint types test-oldest  ## The same with every test there is, whole product grids included, and coverage.
	$(TESTS) --cov -m ""

coverage: install  ## Run the tests of `make test` and measure their coverage: below 95% of branches is an error.
	$(FAST) $(TESTS) --cov

# The longest first, so that the processes finish together.
conformance: install  ## Certify each framework's main subject and a third-party layer; reports go to build/.
	@mkdir -p build
	$(BIN)/dropblock-conformance run keras-tf tf jax torch numpy miguelvr --jobs 2 --profile quick --timeout 900 \
		--html build/conformance.html --json build/conformance.json

matrix: .venv-third-party/.stamp  ## Certify all there is, ours and others', by the quick profile; writes docs/matrix.md.
	@mkdir -p build
	.venv-third-party/bin/python -m dropblock_conformance run ours third-party --jobs 2 --profile quick --timeout 900 \
		--journal build/matrix.journal --markdown docs/matrix.md --html build/matrix.html --json build/matrix.json

# Over .venv, whose packages it sees.
.venv-third-party/.stamp: .venv/.stamp conformance/third-party.txt
	$(PYTHON) -m venv .venv-third-party
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> $$(.venv-third-party/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/over.pth
	.venv-third-party/bin/pip install --quiet --no-deps --requirement conformance/third-party.txt
	@touch $@

# Likewise.
.venv-docs/.stamp: .venv/.stamp
	$(PYTHON) -m venv .venv-docs
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> $$(.venv-docs/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/over.pth
	.venv-docs/bin/pip install --quiet --editable '.[docs]'
	@touch $@

# And without the C library, so that both ways of the core are tested.
test-oldest: .venv-oldest/.stamp  ## Test the core, and the judge's engines, with the lower bounds that pyproject.toml states.
	DROPBLOCK_NATIVE=0 .venv-oldest/bin/pytest -n 2 tests/core tests/conformance/judging

# No framework here: tests that need one skip themselves.
.venv-oldest/.stamp: pyproject.toml constraints.txt tests/oldest.py
	$(PYTHON) -m venv .venv-oldest
	$(PYTHON) tests/oldest.py > .venv-oldest/constraints.txt
	DROPBLOCK_NATIVE=0 PIP_CONSTRAINT=.venv-oldest/constraints.txt .venv-oldest/bin/pip install --quiet \
		--editable '.[conformance]' pytest pytest-xdist array-api-strict jsonschema psutil
	@touch $@

# By the same pins.
test-python: PYTHON := python$(PYTHON_VERSION)
test-python: BIN := .venv-$(PYTHON_VERSION)/bin
test-python: .venv-$(PYTHON_VERSION)/.stamp  ## Run the tests with another Python: PYTHON_VERSION=3.12, say.
	$(FAST) $(TESTS)

bench: install  ## Measure time and memory, as ratios within one run; writes docs/performance.md.
	$(BIN)/python -m tests.bench

# On a machine with a GPU: this checkout, uninstalled, and a Python that has PyTorch, pytest and array-api-compat, the
# last of them perhaps by a folder on PYTHONPATH.
GPU_PYTHON ?= python3
ON_PATH := PYTHONPATH=.:adapters:conformance:$(PYTHONPATH) TRITON_INTERPRET=0

test-gpu:  ## Test the kernels on a real GPU, with GPU_PYTHON and no installation; without one every test is skipped.
	$(ON_PATH) $(GPU_PYTHON) -m pytest --noconftest -p no:cacheprovider -m "" tests/gpu

bench-gpu:  ## Measure the kernels on a real GPU against a device copy, likewise; writes docs/bench-gpu.json.
	$(ON_PATH) $(GPU_PYTHON) tests/bench_gpu.py

# On any machine: Triton compiles for GPUs that are not here.
kernels: install  ## Count the instructions, registers and accesses of the GPU's kernels; writes docs/performance.md.
	TRITON_INTERPRET=0 $(BIN)/python -m tests.bench.kernels

calibrate: install  ## Measure false alarms and power of the suite over many seeds.
	$(BIN)/python tests/calibrate.py

# Many mutants overflow or divide by 0, and NumPy would warn of each.
judge-wild: install  ## Judge the mutants that no check was meant for: how many die?
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.judge_wild

# Stopped, it goes on where it was.
experiments: install  ## Run what docs/experiments/results.jsonl lacks, for hours; draw the figures, write docs/experiments.md.
	$(BIN)/python -m docs.experiments

sanitize: install  ## Run the C library under the sanitizers for memory, undefined behaviour and threads.
	$(BIN)/python -m tests.sanitize

test-aarch64: install  ## Compile the C library for aarch64 and test it under qemu-user (tests/aarch64.sh says what it needs).
	tests/aarch64.sh

# 100,000 random settings.
fuzz: install  ## Compare the C library with NumPy, bit for bit, for some minutes.
	$(BIN)/pytest -m exhaustive tests/core/test_native.py

fuzz-triton: install  ## Compare the GPU's kernels, interpreted, with NumPy at 10,000 settings, bit for bit, for hours.
	TRITON_SETTINGS=10000 OMP_NUM_THREADS=1 $(BIN)/pytest -v -n logical -p no:cacheprovider tests/torch/test_triton_fuzz.py

fuzz-calls: install  ## Make 1,000 hostile calls of each front door, and print what became of them.
	HOSTILE_CALLS=1000 $(FAST) OMP_NUM_THREADS=1 $(BIN)/pytest -q -s -p no:cacheprovider tests/*/test_hostile_calls.py
	HOSTILE_CALLS=1000 KERAS_BACKEND=torch OMP_NUM_THREADS=1 $(BIN)/pytest -q -s -p no:cacheprovider \
		tests/keras/backend_suite.py -k hostile

lint: install  ## Check style and format.
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install  ## Check types.
	$(BIN)/mypy

docs: .venv-docs/.stamp  ## Build the documentation as a site in build/site, where a warning or a broken link is an error.
	rm -rf build/site build/doctrees
	.venv-docs/bin/python -m sphinx --quiet --fail-on-warning --keep-going -d build/doctrees docs build/site
	.venv-docs/bin/python docs/check_links.py build/site

dist: install  ## Build the source archive and two wheels, with the C library and without; try them in clean environments.
	rm -rf dist
	$(BIN)/python -m build
	DROPBLOCK_NATIVE=0 $(BIN)/python -m build --wheel
	$(BIN)/python tests/dist_check.py

clean:  ## Remove what was built, except the environments (rm -r .venv .venv-*).
	rm -rf build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find dropblock_core adapters conformance tests -name __pycache__ -prune -exec rm -r {} +
