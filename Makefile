# Bare `make` lists the targets. PYTHON is only used to create .venv.
PYTHON ?= python3
BIN := .venv/bin
LAVA_BIN := .venv-lava/bin
# With both environments nothing is missing: a test that skips fails the run (`make test NO_SKIP=`
# lets it). Data and networks beside the project may be absent.
NO_SKIP = $(shell test -x $(LAVA_BIN)/python && echo 1)

# Without bytecode every process compiles PyTorch and the others anew, for many seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-frameworks demo test docs lint format bench fuzz fuzz-files faults sanitize clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## create or update .venv and .venv-lava (pinned versions; quick when nothing changed)
	@$(PYTHON) scripts/setup_environments.py

setup-frameworks: setup ## environments of snnTorch, SpikingJelly, sinabs, Norse and lava-dl, for tests
	@$(BIN)/python benchmarks/setup_peers.py

demo: setup ## train on digits and deploy on three boards: verdicts, energy and a page in two minutes
	@$(BIN)/neurodeploy demo

test: setup setup-frameworks ## the tests, in the main environment and in the single 3.10 environment
	@$(PYTHON) scripts/setup_browser.py
	NEURODEPLOY_NO_SKIP=$(NO_SKIP) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@if [ ! -x $(LAVA_BIN)/python ]; then echo "tests/py310 not run: there is no Lava environment (see make setup)"; \
	else set -x; NEURODEPLOY_NO_SKIP=$(NO_SKIP) OMP_NUM_THREADS=1 $(LAVA_BIN)/python -m pytest tests/py310; fi

docs: setup ## the documentation as a site in site/, without a network; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## let ruff reorder imports and reformat
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

fuzz: setup ## N random netlists (1000) on every path of the engine, from SEED on (any)
	@$(BIN)/python -m tests.conformance.fuzz -n $(or $(N),1000) $(if $(SEED),--seed $(SEED))

fuzz-files: setup ## N damaged files (300) of every format, from SEED (0) on
	@$(BIN)/python -m tests.bad_input.fuzz -n $(or $(N),300) --seed $(or $(SEED),0)

faults: setup ## kill, full disk and interrupted call at every write of every command that writes
	@$(BIN)/python -m tests.bad_input.faults

sanitize: setup ## tests and random netlists (N=300) on native kernels built with sanitizers
	$(BIN)/python scripts/sanitize.py -m pytest -q tests/execution/test_native.py tests/execution/test_native_edges.py tests/execution/test_native_constant.py tests/execution/test_native_lanes.py tests/execution/test_native_silent.py tests/execution/test_native_products.py tests/execution/test_native_tiles.py tests/execution/test_streams.py
	$(BIN)/python scripts/sanitize.py -m tests.conformance.fuzz -n $(or $(N),300)

bench: setup ## speed beside the peers, which get an environment of their own (.venv-bench)
	$(BIN)/python -m benchmarks

clean: ## remove all environments, caches, build output and the demonstration's files
	rm -rf .venv .venv-lava .venv-bench .venv-sinabs .venv-lava-dl .venv.* .venv-lava.* demo-output .setup build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f neurodeploy/execution/native/_kernels*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
