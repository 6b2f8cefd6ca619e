# The commands of the companion. `make` alone lists them with what each costs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env test faults book lab hashes audit clean

PROFILE ?= laptop
DEVICE ?= auto
KILLS ?= 20
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
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

faults: $(INSTALLED) ## a hundred kills at random moments, full disks, jumping clocks (twenty minutes on two cores; KILLS=n of each command)
	MSRN_KILLS="$(KILLS)" $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist load tests/faults

book: $(INSTALLED) ## the book, into _build/html (minutes; trains nothing but profile smoke, shows stored runs and results/)
	$(BIN)/jupyter-book build -n -W --keep-going .

lab: $(INSTALLED) ## JupyterLab on the notebooks
	$(BIN)/jupyter-lab

clean: ## remove the built book and caches of the tools (runs, results and .venv stay)
	rm -rf _build .pytest_cache .ruff_cache build msrn.egg-info
	find msrn tests book -name __pycache__ -type d -prune -exec rm -rf {} +

hashes: $(INSTALLED) ## digests of all that requirements.lock names, for the maintainer who changed it
	$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate requirements.lock -o requirements.sha256

audit: $(INSTALLED) ## known weaknesses of what requirements.lock names, by pip-audit (asks the registry and osv.dev)
	$(BIN)/uv tool run pip-audit --no-deps --disable-pip --vulnerability-service osv --requirement requirements.lock

$(INSTALLED): requirements.lock requirements.sha256 pyproject.toml
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
	  awk '/^uv==/ {on=1} on; on && !/\\$$/ {exit}' requirements.sha256 > .venv/uv.txt; \
	  $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r .venv/uv.txt; }
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --require-hashes -r requirements.sha256
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
