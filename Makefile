# Every target sets up what it needs and says what it does. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-out
# One compute thread per process: the pools decide how many processes there are.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help
.PHONY: help system venv models demo test faults cluster-test fuzz lint bench eval load lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

system:  ## Debian packages: tesseract with its languages, fonts; chromium, prometheus, node and npm for tests
	@bash cluster/system.sh

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "== Python packages into $(VENV) (about 2 GB, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$$(sed -nE 's/^torch==//p' requirements.lock)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

venv: system $(VENV)/.installed  ## the virtual environment, exactly as locked

models: venv  ## the default checkpoints, about 400 MB, into ~/.cache/interlace or INTERLACE_HOME
	@echo "== checkpoints"
	@$(BIN)/interlace models pull > /dev/null

demo: models  ## read the archive in examples/ into tables, ask one question, draw the report
	@bash examples/demo.sh $(BIN) $(DEMO)

lint: venv  ## ruff, mypy strict, the floors of the house, and the size of the tree
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tests/tree_size.py

test: lint models  ## lint, then all tests
	@echo "== tests"
	@$(BIN)/python -m pytest

fuzz: venv  ## mutated files of every format against the opener, ten minutes; python -m tests.faults.fuzz --help for more
	@$(BIN)/python -m tests.faults.fuzz --cases 20000 --seconds 600

faults: models  ## every test under fire, the long ones too, and one table of what was injected and lost
	@$(BIN)/python -m pytest tests/faults tests/encoders/test_card.py tests/pipelines/test_interrupt.py tests/pipelines/test_soft_tokens.py tests/train/test_corpus.py -m "full or not full" --timeout=1800

cluster-test: models  ## hosts as network namespaces: links cut, hosts lost, added, drained; autoscaling; runs beside others; as root
	@$(BIN)/python -m pytest tests/hosts tests/cluster tests/serving/test_beside.py tests/pipelines/test_balance.py tests/pipelines/test_traces.py -m full --timeout=900

bench: models  ## every figure of the README, measured here
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.lock
	@$(BIN)/python -m benchmarks

eval: models  ## the hybrid model in numbers: modes text, soft and both side by side, the untrained decoder beside them
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.lock
	@$(BIN)/python -m benchmarks.hybrid

load: models  ## the endpoint's long tests, then 200 clients for minutes, with killed replicas and a rolling restart
	@$(BIN)/python -m pytest tests/serving -m full
	@$(BIN)/python -m benchmarks.load

lock:  ## write requirements.lock anew from the ranges in pyproject.toml
	@bash cluster/lock.sh

clean:  ## what the targets above made here, the virtual environment included
	rm -rf $(VENV) $(DEMO) bench-out .mypy_cache .ruff_cache .pytest_cache
