# The one runner. `make demo` and `make test` are all a newcomer needs; both set up what they use.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SRC := src tests benchmarks docs

.PHONY: demo test setup check fmt lint types imports mutate bench bench-peers bench-data base readme

demo: setup            ## run the main job on text this machine has; no downloads of models or data
	$(BIN)/excise demo -o excise-demo --overwrite

setup: $(VENV)/.ready   ## venv with everything, versions as in constraints.txt

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[model,noise,semantic,ray,dev]'
	touch $@

test: setup            ## the tests; some need ../shared and say so where it is absent
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

check: fmt lint types imports test

fmt: setup
	$(BIN)/ruff format --check $(SRC)

lint: setup
	$(BIN)/ruff check $(SRC)

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

mutate: setup          ## one-token mutations of the formulas; each must be killed by its test
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutate.py

bench: setup           ## near duplicates beside rensa and datasketch, JSON to stdout
bench: bench-peers
	$(BIN)/python benchmarks/duplicates.py --without datatrove

bench-peers: .venv-peers/.ready   ## the tools Excise is compared with, in an environment of their own

.venv-peers/.ready: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	touch $@

bench-data: setup bench-peers base   ## all benchmarks of the data side: a quiet machine, about an hour; JSON is kept
	$(BIN)/python benchmarks/all_data.py

readme: setup          ## put the demo's measured output into both READMEs
	COLUMNS=100 $(BIN)/excise demo -o excise-demo --overwrite | $(BIN)/python docs/refresh.py

base:                  ## the data side without torch, in its own venv
	$(PYTHON) -m venv .venv-base
	.venv-base/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	.venv-base/bin/python tests/base_only.py
