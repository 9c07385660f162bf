# make demo       synthesise a corpus, train, distil, compare and export
# make test       lint and tests with coverage
# make test-slow  the tests that take minutes
# make study      which terms help, on the embedded corpus (hours; resumable)
# make bench      speed and memory of the parts that matter
# make lint       ruff and yamllint alone
# make clean      remove the virtual environment and caches, not the results
#
# One virtual environment, .venv, serves them all. It is made on first use with
# PYTHON (python3), and refreshed when the requirements change.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow study bench lint clean

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
REQUIREMENTS := requirements-ci.txt setup.cfg pyproject.toml
WORKERS ?= 2
PLAN ?= hparams/study/minivox.yaml
JOBS ?= 1
STUDY ?=
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

# $(call install,EXTRAS): what is there already is not upgraded without need.
define install
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if \
	v >= (3, 10) else f"Python >= 3.10 is needed; $(PYTHON) is \
	{v[0]}.{v[1]}. Say which to use: make PYTHON=/path/to/python3.11")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	echo "Could not make $(VENV): on Debian or Ubuntu install" \
	"python3-venv first." >&2; exit 1; }
	@echo "Installing into $(VENV) (a few minutes, 3 GB the first time) ..."
	@$(PY) -m pip install --disable-pip-version-check --progress-bar off \
	--constraint requirements-ci.txt --editable '.[$(1)]' \
	| { grep --line-buffered -E \
	'^(Collecting|  Downloading|Building|Installing|Successfully)' || true; }
endef

$(VENV)/.demo: $(REQUIREMENTS)
	$(call install,demo)
	@touch $@

$(VENV)/.dev: $(REQUIREMENTS)
	$(call install,dev)
	@touch $(VENV)/.demo $@

demo: $(VENV)/.demo
	$(PY) -m speechbrain_kd.demo

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m yamllint hparams recipes .yamllint.yaml

test: lint
	$(THREADS) $(PY) -m pytest -q -n $(WORKERS) --cov=speechbrain_kd \
	--cov-report=term --cov-fail-under=90

test-slow: $(VENV)/.dev
	$(THREADS) $(PY) -m pytest -q -m slow

study: $(VENV)/.demo
	$(PY) -m speechbrain_kd.study $(PLAN) --jobs $(JOBS) $(STUDY)

bench: $(VENV)/.dev
	$(PY) -m speechbrain_kd.bench

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .coverage \
	.coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
