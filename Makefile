# make up      install what is needed and start the service (WHEEL=path: a llama-cpp-python wheel
#              you have, instead of compiling it)
# make test    lint, types, import rules, and all tests but the next
# make test-faults   kill, cut and stop real processes under streams; every text stays whole
# make test-modes    several models answer one request, on real processes; kills between steps
# make chaos   the same at random for five minutes, and a report
# make bench   measure the service beside the bare engine
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
WHEEL ?=
ARGS ?=
BIN := $(VENV)/bin
LOG := $(VENV)/install.log

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -7

up: $(VENV)/.for-up
	@exec $(BIN)/inference-service up $(ARGS)

test: $(VENV)/.for-test lint
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.for-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg --no-logo
	$(BIN)/mypy

test-faults: $(VENV)/.for-test
	$(BIN)/python -m pytest tests/faults $(ARGS)

test-modes: $(VENV)/.for-test
	$(BIN)/python -m pytest tests/modes $(ARGS)

chaos: $(VENV)/.for-test
	$(BIN)/python -m tests.faults.chaos $(ARGS)

bench: $(VENV)/.for-bench
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	@python=; for candidate in python3.13 python3.12 python3.11 python3; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; none is on the PATH." >&2; exit 1; fi; \
	echo "making $(VENV) with $$($$python --version)"; $$python -m venv $(VENV)

# llama-cpp-python compiles for minutes: a line that counts shows that it moves.
$(VENV)/.engine: $(VENV)/bin/python
	@if [ -n "$(WHEEL)" ]; then echo "installing $(WHEEL)"; \
	  $(BIN)/pip install --quiet "$(WHEEL)"; \
	else echo "installing llama-cpp-python (compiles llama.cpp: about 7 minutes on 2 cores)"; \
	  $(BIN)/pip install -v 'llama-cpp-python>=0.3.36,<0.4' 2>&1 | tee $(LOG) | \
	  awk '/^ *\[[0-9]+\/[0-9]+\]/ { printf "  compiling %s\n", $$1; fflush() } \
	       /^ *(Collecting|Downloading|Building wheel|Installing)/ { print " ", $$1, $$2, $$3; fflush() }' || { \
	  tail -30 $(LOG) >&2; \
	  command -v c++ >/dev/null || echo "There is no C++ compiler here: install one (Debian: build-essential, macOS: xcode-select --install), or name a wheel: make up WHEEL=path" >&2; \
	  exit 1; }; fi
	@touch $@

$(VENV)/.for-up: $(VENV)/.engine setup.cfg pyproject.toml
	@echo "installing the service"
	@$(BIN)/pip install --quiet --editable '.[llamacpp,flower,procfile,pull]'
	@touch $@

$(VENV)/.for-test: $(VENV)/.for-up
	@echo "installing what the tests need"
	@$(BIN)/pip install --quiet --editable '.[llamacpp,flower,procfile,pull,test]'
	@touch $@

$(VENV)/.for-bench: $(VENV)/.for-test
	@$(BIN)/pip install --quiet --editable '.[llamacpp,flower,procfile,pull,test,bench]'
	@touch $@

.PHONY: help up test test-faults test-modes chaos lint bench clean
