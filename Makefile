# mergescale: `make figures` builds the default study, `make test` runs every test. Both need only Python 3.11, 3.12 or
# 3.13, and install what they use into .venv.
#
#   CONFIG=config/smoke.yaml   another study: a file with the keys that differ from config/config.yaml
#   CORES=2                    number of cores (default: all)
#   PYTHON=/path/to/python3    the Python that .venv is made with (default: python3.11, 3.12 or 3.13, the first found)
#   BIN=/path/to/env/bin       your own environment; no .venv is made then
#   ARGS="-k config"           more arguments for snakemake, pytest or ruff
#   CLUSTER=/tmp/folder        the folder of the SLURM cluster that `make test-slurm` starts

PYTHON ?=
CORES ?= all
CONFIG ?=
STUDY ?=
ARGS ?=
CLUSTER ?= /tmp/mergescale-slurm

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ifdef BIN
runtime :=
development :=
plugin :=
else
BIN := $(CURDIR)/.venv/bin
runtime := .venv/runtime.stamp
development := .venv/development.stamp
plugin := .venv/slurm.stamp
endif
# Jobs and tools call `python`, `snakemake`, `shfmt` by name.
export PATH := $(BIN):$(PATH)

python_files := workflow tests envs
snakemake_files := Snakefile workflow/rules tests/slurm/toy/Snakefile
# --configfile takes all files that follow it, so it comes last.
snakemake := snakemake --cores $(CORES)
study := $(if $(CONFIG),--configfile $(CONFIG))
ifneq ($(wildcard $(CONFIG)),$(CONFIG))
$(error $(CONFIG) does not exist; pass a configuration such as CONFIG=config/smoke.yaml)
endif
name = $(shell sed -nE 's/^study: *([A-Za-z0-9_.-]+).*/\1/p' $(or $(CONFIG),config/config.yaml))

.PHONY: help figures smoke slurm report test test-slurm lint format notebook reference clean env-update check-wheels

help:  ## list the targets
	@sed -n 's/^#   //p' Makefile
	@echo
	@awk -F ':[^#]*## ' '/^[a-z-]+:[^#]*## / { printf "  make %-13s%s\n", $$1, $$2 }' Makefile

figures: $(runtime)  ## make every figure and table of the study, and its report
	$(snakemake) $(ARGS) $(study)

smoke: $(runtime)  ## run the smoke study: the same rules in a few minutes
	$(snakemake) $(ARGS) --configfile config/smoke.yaml

slurm: $(plugin)  ## run the study on a SLURM cluster (profiles/slurm)
	snakemake --workflow-profile profiles/slurm $(ARGS) $(study)

report: $(runtime)  ## make the study's report, one HTML file
	$(snakemake) $(ARGS) results/$(name)/report.html $(study)

test: $(development)  ## run all tests, including the smoke study from end to end
	pytest --numprocesses auto --dist loadfile $(ARGS)

# The cluster is stopped whatever happens.
test-slurm: $(development) $(plugin)  ## run the tests that start a SLURM cluster (root, Debian)
	trap 'python tests/slurm/cluster.py stop $(CLUSTER)' EXIT; \
		MERGESCALE_TEST_CLUSTER=$(CLUSTER) pytest tests/slurm $(ARGS)

lint: $(development)  ## check style, imports and the workflow; changes nothing
	ruff check $(python_files)
	ruff format --check $(python_files)
	snakefmt --check $(snakemake_files)
	lint-imports --no-logo
	snakemake --lint

format: $(development)  ## format every file
	ruff check --fix $(python_files)
	ruff format $(python_files)
	snakefmt $(snakemake_files)

notebook: $(development)  ## run the notebooks on the study's results; writes results/notebooks/
	@test -f "results/$(name)/performance.csv" || \
		{ echo "make: results/$(name)/performance.csv does not exist; run the study first: make figures$(if $(CONFIG), CONFIG=$(CONFIG))" >&2; exit 2; }
	mkdir -p results/notebooks
	MERGESCALE_STUDY=$(name) jupyter execute --output=$(CURDIR)/results/notebooks/{notebook_name} notebooks/*.ipynb

reference: $(runtime)  ## write generated files: config/README.md, the tables of docs/paper_scale.md
	python -m mergescale.config.reference
	python -m mergescale_snakemake.cost_page

clean:  ## remove the results of one study: make clean STUDY=smoke
	@[[ "$(STUDY)" =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$$ ]] || \
		{ echo "make: name the study whose results to remove, such as make clean STUDY=smoke" >&2; exit 2; }
	rm -rf "results/$(STUDY)"

# Sets the shell variable `python` to $(PYTHON), or else to the first suitable Python.
define find_python
for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		2>/dev/null && break; \
	python=; \
done; \
[ -n "$$python" ] || { \
	echo "make: $(if $(PYTHON),$(PYTHON) is not,this machine has no) Python 3.11, 3.12 or 3.13 with venv;" \
		"install one, or pass its path: make PYTHON=/path/to/python3" >&2; \
	exit 2; }
endef

env-update:  ## update the pins under envs/ to the newest versions
	@$(find_python); "$$python" envs/lock.py --upgrade

check-wheels:  ## check that every pin has a wheel for Python 3.11, 3.12 and 3.13
	@$(find_python); "$$python" envs/lock.py --check-wheels

# Stamps are written last, so an interrupted or failed installation starts again.
pip_install := .venv/bin/python -m pip install --quiet --disable-pip-version-check

.venv/pins.stamp: envs/requirements.txt
	@$(find_python); rm -rf .venv; \
		echo "installing into .venv (several minutes, once)"; \
		"$$python" -m venv .venv
	$(pip_install) --requirement $<
	touch $@

.venv/runtime.stamp: pyproject.toml .venv/pins.stamp
	$(pip_install) --no-deps --no-build-isolation --editable .
	touch $@

.venv/development.stamp: envs/requirements-dev.txt .venv/runtime.stamp
	$(pip_install) --requirement $<
	touch $@

.venv/slurm.stamp: envs/requirements-slurm.txt .venv/runtime.stamp
	$(pip_install) --requirement $<
	touch $@
