# SPDX-License-Identifier: Apache-2.0
# Everything lives inside this folder: .tools (uv), .venv, node_modules, .cache, out.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& { command -v $$p; break; }; done)
UV := .tools/bin/uv
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export APE_DATA_FOLDER ?= $(CURDIR)/.cache/ape
export PYTHONUNBUFFERED := 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

.PHONY: setup
setup: .cache/setup-done ## Install what is needed, inside this folder

.cache/setup-done: requirements.lock package-lock.json pyproject.toml scripts/setup.sh
	@PYTHON="$(PYTHON)" scripts/setup.sh
	@mkdir -p .cache && touch $@

.PHONY: demo
demo: setup ## Sixty days with a crash on mainnet in a box, then a loan's crash; writes out/demo/report.html
	@plimsoll demo --out out/demo

.PHONY: test
test: setup ## All tests that need no root and no network
	@scripts/run_tests.sh

.PHONY: test-all
test-all: setup ## Also the slow suites
	@scripts/run_tests.sh --all

.PHONY: chaos
chaos: setup ## Kill the keeper 240 times over a simulated month; writes out/chaos.json
	python -m tests.chaos

.PHONY: soak
soak: setup ## State machines for STEPS steps on every core, 100,000 by default; writes out/soak.json
	python -m tests.invariants --steps $(or $(STEPS),100000)

.PHONY: keeper-soak
keeper-soak: setup ## One keeper process through a simulated year; writes out/keeper_soak.json
	python -m tests.soak

.PHONY: faults
faults: setup ## Let a node fail in sixteen ways over three transports; writes the table of docs/operations.md
	pytest -q tests/offchain/keeper/test_faults.py
	@python scripts/fault_table.py

.PHONY: lint
lint: setup ## Formatting, lint, types, import order, NatSpec
	ruff format --check offchain tests scripts
	ruff check offchain tests scripts
	mypy
	lint-imports --no-cache
	@python scripts/check_contracts.py

.PHONY: format
format: setup ## Format the Python sources
	ruff format offchain tests scripts
	ruff check --fix offchain tests scripts

.PHONY: abi
abi: setup ## Rewrite offchain/abi from the contracts
	python -m tests.support.contracts

.PHONY: bench
bench: .cache/bench-done ## Timings against named peers; writes out/bench.json
	python -m bench

# cvxpy-base, which a peer asks for, is the same module as cvxpy.
.cache/bench-done: .cache/setup-done requirements-bench.lock
	@$(UV) pip install --quiet --python .venv/bin/python --require-hashes --no-deps -r requirements-bench.lock
	@touch $@

.PHONY: gas
gas: setup ## Gas from receipts, beside a router; writes out/gas.json
	python -m bench.gas

.PHONY: lock
lock: ## Resolve the dependencies again
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -q -o requirements.lock
	$(UV) pip compile --group bench --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-package cvxpy-base --custom-compile-command "make lock" -q \
		-o requirements-bench.lock

.PHONY: clean
clean: ## Remove caches and outputs; keeps what setup installed
	rm -rf out .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache/sandbox .cache/vyper
	find offchain tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
