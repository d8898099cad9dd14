# Everything runs in .venv, which these targets make and keep up to date.
PYTHON ?= python3
# Benchmarks by name, all if empty: make bench BENCH=memory
BENCH ?=
# Flags of lib/deploy.py: make deploy DEPLOY=--production
DEPLOY ?=
# Flags of tests/deploy/on_cluster.py: make test-cluster CLUSTER="--config mine.toml"
CLUSTER ?= --config config/production.toml
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-cluster check bench deploy clean

run: $(VENV)/run-ready
	$(BIN)/python flows/categorize.py run --source tests/golden/sample/products.csv

test: $(VENV)/dev-ready
	$(BIN)/python -m pytest

check: $(VENV)/dev-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/dev-ready
	$(BIN)/python -m tests.benchmarks $(BENCH)

test-cluster: $(VENV)/dev-ready
	$(BIN)/python -m tests.deploy.on_cluster $(CLUSTER)

deploy: $(VENV)/deploy-ready
	$(BIN)/python -m lib.deploy $(DEPLOY)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/run-ready: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shelfsort needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/deploy-ready: $(VENV)/run-ready requirements-deploy.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-deploy.txt
	touch $@

$(VENV)/dev-ready: $(VENV)/run-ready requirements-deploy.txt requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
