# GNU make 3.81 or later, any POSIX shell. Each target makes the environment when it is missing or the lock has changed:
# in .venv, or in the active conda environment (not base). VENV=folder names another one, PYTHON=path another Python.
SHELL = /bin/sh
# Where this is set nothing would be compiled once and for all: seconds at each start of each kernel.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help env report lab test test-fast lint bench peers soak kafka clean lock

ifneq ($(filter-out base,$(CONDA_DEFAULT_ENV)),)
VENV ?= $(CONDA_PREFIX)
# `install` never takes away what else lives in a person's conda environment, as `sync` would.
SYNC := install -r
endif
VENV ?= .venv
SYNC ?= sync
BIN := $(VENV)/bin
STAMP := $(VENV)/workbench-$(shell cat requirements.lock pyproject.toml | cksum | cut -d ' ' -f 1).stamp
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
NOTEBOOK ?= notebooks/01_ingest.ipynb
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
BENCH ?= $(filter-out soak,$(patsubst benchmarks/%.py,%,$(shell grep -l __main__ benchmarks/[a-z]*.py)))

help: ## what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

env: $(STAMP) ## make the environment, or bring it up to the lock
	@echo "The environment is in $(VENV), with $$($(BIN)/python --version)."

report: $(STAMP) ## run the reports: PROFILE=params/focus.yaml AS_OF=2025-11-01 INPUT=my.csv NAME="02_costs"
	@$(BIN)/workbench report $(NAME) $(if $(PROFILE),--profile "$(PROFILE)") $(if $(AS_OF),--as-of "$(AS_OF)") \
		$(if $(INPUT),--input "$(INPUT)") $(ARGS)

lab: $(STAMP) ## open the notebooks in JupyterLab: NOTEBOOK=notebooks/02_costs.ipynb
	@$(BIN)/jupyter lab $(ARGS) "$(NOTEBOOK)"

test: $(STAMP) ## run all tests: ARGS="-k settings"
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-fast: $(STAMP) ## run the tests that take a moment
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not browser and not real" $(ARGS)

lint: $(STAMP) ## check style, types, floors and notebooks, as the commit hooks do
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check . && $(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(if $(NOTEBOOKS),$(BIN)/nbstripout --keep-id --verify $(NOTEBOOKS))

bench: $(STAMP) ## measure: BENCH="load ingest" ARGS=--quick
	@for name in $(BENCH); do $(BIN)/python -m benchmarks.$$name $(ARGS) || exit 1; done

peers: $(STAMP) ## make the engines that the bench stream is compared with; one of them needs a JDK 17 and Maven
	@$(BIN)/python -m benchmarks.peers.make

soak: $(STAMP) ## kill members of the stream 200 times and compare what they wrote; 40 minutes: ARGS="--kills 50"
	@$(BIN)/python -m benchmarks.soak $(ARGS)

kafka: $(STAMP) ## start a real Kafka on this machine, Ctrl-C ends it: ARGS="--port 9092"; needs Java 17 and Maven
	@$(BIN)/python tests/real/kafka/start.py $(ARGS)

clean: ## delete reports, warehouses and caches, but not your labels: CLEAN=all takes these too
	@$(if $(filter all,$(CLEAN)),rm -rf .workbench,[ ! -d .workbench ] || \
		find .workbench -mindepth 2 -maxdepth 2 ! -name labels -exec rm -rf {} +)
	@find reports -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

lock: $(BIN)/uv ## resolve requirements.lock anew from pyproject.toml: ARGS=--upgrade takes the newest versions
	@$(BIN)/uv pip compile -q pyproject.toml --extra structure --group dev -o requirements.lock \
		--universal --generate-hashes --python-version 3.11 $(ARGS)

# The environment, in three steps. On a terminal uv draws its progress; elsewhere it says nothing unless it fails.
CHECK = $(BIN)/python -c '$(SUITS)' || { echo "$(VENV) has $$($(BIN)/python --version), the workbench needs 3.11 or 3.12." >&2; exit 1; }
SUITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
UV_PIP = quiet=-q; [ ! -t 2 ] || quiet=; VIRTUAL_ENV= CONDA_PREFIX= $(BIN)/uv pip

$(BIN)/python:
	@for python in $(or $(PYTHON),python3.11 python3.12 python3 python); do \
		if "$$python" -c '$(SUITS)' 2> /dev/null; then \
			echo "1/3 $$("$$python" --version) in $(VENV)"; \
			"$$python" -m venv --clear "$(VENV)" || { rm -rf "$(VENV)"; exit 1; }; exit 0; fi; done; \
	echo "No Python 3.11 or 3.12 found ($(or $(PYTHON),python3) is: $$($(or $(PYTHON),python3) --version 2>&1))." >&2; \
	echo "Install one, or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1

$(BIN)/uv: | $(BIN)/python
	@$(CHECK)
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(BIN)/python -m ensurepip > /dev/null
	@$(BIN)/python -m pip install -q --disable-pip-version-check "uv==$(UV_VERSION)"

$(STAMP): | $(BIN)/uv
	@$(CHECK)
	@echo "2/3 $$(grep -c == requirements.lock) packages from requirements.lock (3 GB; under a minute when downloads are fast)"
	@$(UV_PIP) $(SYNC) requirements.lock $$quiet --python "$(BIN)/python"
	@echo "3/3 the workbench itself"
	@$(UV_PIP) install $$quiet --python "$(BIN)/python" --no-deps --no-build-isolation -e .
	@rm -f "$(VENV)"/workbench-*.stamp && touch "$(STAMP)"
