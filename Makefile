# The commands of the companion. `make` alone lists them with what each costs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env test book lab clean

PROFILE ?= laptop
DEVICE ?= auto
PYTHON ?= python3.11 python3.12 python3.13 python3 python

# Every path is relative, so that the folder may have any name, spaces included.
BIN := .venv/bin
INSTALLED := .venv/.msrn-installed

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9%]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo "  PROFILE=smoke|laptop|night|paper|literal and DEVICE=cpu|cuda say how, as in: make table8 PROFILE=night"

env: $(INSTALLED) ## the environment, in .venv (1 to 3 minutes and 6 GB, once)

table%: $(INSTALLED) ## a table into runs/, such as table8 (ten minutes on two cores, once; table7 half an hour)
	$(BIN)/msrn run $@ --profile "$(PROFILE)" --device "$(DEVICE)"

test: $(INSTALLED) ## ruff and all tests, the notebooks at profile smoke and the book among them (minutes)
	$(BIN)/ruff check
	$(BIN)/python -m pytest

book: $(INSTALLED) ## the book, into _build/html (a minute; shows stored runs, else profile smoke)
	$(BIN)/jupyter-book build -n -W --keep-going .

lab: $(INSTALLED) ## JupyterLab on the notebooks
	$(BIN)/jupyter-lab

clean: ## remove the built book and caches of the tools (runs, results and .venv stay)
	rm -rf _build .pytest_cache .ruff_cache build msrn.egg-info
	find msrn tests book -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	@if [ ! -x $(BIN)/python ]; then \
	  for python in $(PYTHON) none; do \
	    "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	  done; \
	  [ "$$python" != none ] || { echo "make: no Python 3.11 or newer with venv among: $(PYTHON);" \
	    "install one (on Debian: python3-venv), or name it: make PYTHON=/path/to/python" >&2; exit 1; }; \
	  "$$python" -m venv .venv; \
	fi
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: .venv holds" \
	  "$$($(BIN)/python -V) but 3.11 or newer is needed; delete .venv and run make again" >&2; exit 1; }
	@[ -x $(BIN)/uv ] || { $(BIN)/python -m ensurepip >/dev/null; \
	  $(BIN)/python -m pip install --quiet "$$(grep '^uv==' requirements.lock)"; }
	$(BIN)/uv pip install --python $(BIN)/python --no-deps -r requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
