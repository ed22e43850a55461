# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists all.
SHELL  := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Every test computes on one thread; tests beside each other keep the cores busy.
CORES  := -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast browser board lint types bench schema vendor lock clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(STAMP)  ## run the demo suite on the embedded model, show the table and write a page
	$(BIN)/unlearnbench run --suite demo >/dev/null # it ends with the same table
	$(BIN)/unlearnbench leaderboard results/demo-v2
	$(BIN)/unlearnbench leaderboard build results/demo-v2

test: $(STAMP)  ## run the tests, on up to four cores
	$(BIN)/python -m pytest -q $(CORES)

test-fast: $(STAMP)  ## run the tests that need no whole command: in a few minutes
	$(BIN)/python -m pytest -q $(CORES) -m "not slow and not gpu and not end_to_end"

browser: $(STAMP)  ## what the tests of the page need besides chromium; without it they are skipped
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[browser]"

board: $(STAMP)  ## the committed board, leaderboard/LEADERBOARD.md, and its page
	$(BIN)/unlearnbench leaderboard build results/core-v1 results/submissions --output leaderboard/LEADERBOARD.md
	$(BIN)/python -m unlearnbench.leaderboard.reported results/reported/mechanistic-unlearning.csv > results/reported/mechanistic-unlearning.md

lint: $(STAMP)  ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## type checker
	$(BIN)/mypy

bench: $(STAMP)  ## measure speed as ratios, into tests/performance/ratios.json
	$(BIN)/python tests/performance/bench.py

schema: $(STAMP)  ## regenerate the JSON Schema of records
	$(BIN)/python -m unlearnbench.leaderboard.json_schema > leaderboard/schema/result-3.schema.json

vendor:  ## the page's copy of Vega anew, and its digest
	$(PYTHON) -m venv --clear .venv-vendor
	.venv-vendor/bin/python -m pip install -q vl-convert-python==1.9.0.post1
	.venv-vendor/bin/python -c "import vl_convert; print(vl_convert.javascript_bundle(), end='')" > leaderboard/page/vendor/vega.js
	cd leaderboard/page/vendor && sha256sum vega.js > vega.js.sha256
	rm -rf .venv-vendor

lock:  ## regenerate constraints.txt from a fresh resolution (see its header)
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install -q torch==2.13.0 -e ".[browser,dev]"
	(sed -n '/^#/p' constraints.txt; .venv-lock/bin/python -m pip freeze --exclude-editable \
	  | sed 's/+[a-z0-9.]*$$//' | grep -v -i '^nvidia\|^triton' | sort -f) > constraints.new
	mv constraints.new constraints.txt
	rm -rf .venv-lock

# One stamp: installed once, and again when what it depends on changes. Another project's pip
# settings are not needed; `torch==2.13.0` without a local tag takes the CPU build where one is offered.
$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV): about 2 GB, a few minutes the first time."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]" | grep --line-buffered -E '^(Obtaining|Collecting|Installing|Successfully|ERROR)'
	touch $@

clean:  ## remove what these commands made
	rm -rf $(VENV) build dist benchmark/*.egg-info *.egg-info .pytest_cache .mypy_cache .ruff_cache
