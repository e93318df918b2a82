# Two commands matter: `make run` (the product, ready to open) and `make test` (everything checked).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
STAMP := .make
PYTEST_ARGS ?=

.PHONY: help run setup parts lint test bench lock clean

help: ## Show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP)/python: requirements.lock pyproject.toml
	@mkdir -p $(STAMP)
	@echo "==> Python packages (about 40 s the first time, cached afterwards)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --system-certs --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --system-certs --quiet --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP)/python ## Install the Python packages into .venv

parts: setup ## Install the real servers the tests use (Kafka, kube-apiserver, Prometheus, Chromium...)
	@$(BIN)/python -m tests.parts

run: setup ## Start Milepost with an embedded broker and believable model logs
	@$(BIN)/milepost demo

lint: setup ## ruff, mypy --strict, import contracts
	@echo "==> ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "==> mypy --strict"; $(BIN)/mypy
	@echo "==> import contracts"; $(BIN)/lint-imports --no-logo

test: lint parts ## Check everything: linters, types, layers and all tests on real servers
	@echo "==> pytest"; $(BIN)/python -m pytest $(PYTEST_ARGS)

bench: setup parts ## Measure: prints the README's performance table
	@$(BIN)/python -m tests.bench

lock: setup ## Resolve the dependencies again and write requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip compile --system-certs --quiet --universal --generate-hashes --upgrade \
	    --no-emit-index-url --all-extras --python-version 3.11 -o requirements.lock pyproject.toml

clean: ## Remove what the commands above made in this folder
	@rm -rf $(VENV) $(STAMP) .mypy_cache .ruff_cache .pytest_cache data
