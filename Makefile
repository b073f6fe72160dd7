# mergescale: `make figures` builds the default study, `make test` runs every test; both need only Python 3.11.
#
#   CONFIG=config/smoke.yaml   another study (its file is laid over config/config.yaml)
#   CORES=2                    how many cores to use (default: all)
#   BIN=/path/to/env/bin       an environment of your own; no .venv is made then
#   ARGS="-k config"           further arguments for snakemake, pytest or ruff
#   CLUSTER=/tmp/folder        where `make test-slurm` keeps its cluster

PYTHON ?= python3.11
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
# --configfile takes as many files as follow, so it comes last.
snakemake := snakemake --cores $(CORES)
study := $(if $(CONFIG),--configfile $(CONFIG))
name = $(shell sed -nE 's/^study: *([A-Za-z0-9_.-]+).*/\1/p' $(or $(CONFIG),config/config.yaml) 2>/dev/null)

.PHONY: help figures smoke slurm report test test-slurm lint format notebook reference clean env-update

help:  ## this list
	@sed -n 's/^#   //p' Makefile
	@echo
	@awk -F ':[^#]*## ' '/^[a-z-]+:[^#]*## / { printf "  make %-13s%s\n", $$1, $$2 }' Makefile

figures: $(runtime)  ## every figure and table of the study
	$(snakemake) $(ARGS) $(study)

smoke: $(runtime)  ## the smoke study: the same rules, minutes instead of half an hour
	$(snakemake) $(ARGS) --configfile config/smoke.yaml

slurm: $(plugin)  ## the study on a SLURM cluster, by profiles/slurm
	snakemake --workflow-profile profiles/slurm $(ARGS) $(study)

report: $(runtime)  ## the study's report, one HTML file
	$(snakemake) $(ARGS) results/$(name)/report.html $(study)

test: $(development)  ## all tests, the smoke study from end to end among them
	pytest $(ARGS)

# Whatever happens, the cluster is stopped.
test-slurm: $(development) $(plugin)  ## the tests that start a SLURM cluster of their own (root, Debian)
	trap 'python tests/slurm/cluster.py stop $(CLUSTER)' EXIT; \
		MERGESCALE_TEST_CLUSTER=$(CLUSTER) pytest tests/slurm $(ARGS)

lint: $(development)  ## check style and the workflow; changes nothing
	ruff check $(python_files)
	ruff format --check $(python_files)
	snakefmt --check $(snakemake_files)
	snakemake --lint

format: $(development)  ## bring every file into the project's style
	ruff check --fix $(python_files)
	ruff format $(python_files)
	snakefmt $(snakemake_files)

notebook: $(development)  ## run the notebooks on the study's results, into results/notebooks/
	@test -f "$(or $(CONFIG),config/config.yaml)" || { echo "make: $(CONFIG) does not exist" >&2; exit 2; }
	@test -f "results/$(name)/performance.csv" || \
		{ echo "make: results/$(name)/performance.csv does not exist; run the study first: make figures$(if $(CONFIG), CONFIG=$(CONFIG))" >&2; exit 2; }
	mkdir -p results/notebooks
	MERGESCALE_STUDY=$(name) jupyter execute --output=$(CURDIR)/results/notebooks/{notebook_name} notebooks/*.ipynb

reference: $(runtime)  ## what is generated: the schema's defaults, config/README.md, tables of docs/paper_scale.md
	python -m mergescale.config.reference
	python -m mergescale_snakemake.cost_page

clean:  ## remove the results of one study: make clean STUDY=smoke
	@[[ "$(STUDY)" =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$$ ]] || \
		{ echo "name the study whose results to remove, e.g. make clean STUDY=smoke" >&2; exit 2; }
	rm -rf "results/$(STUDY)"

env-update:  ## look for newer packages and write the pins under envs/ anew
	$(PYTHON) envs/lock.py --upgrade

# The stamps are made last: an interrupted or failed installation is done again from the start.
.venv/runtime.stamp: envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "make: '$(PYTHON)' is no Python 3.11 with venv; install it, or name one: make PYTHON=/path/to/python3.11" >&2; \
		exit 2; }
	rm -rf .venv
	@echo "installing into .venv: several minutes, once"
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/development.stamp: envs/requirements-dev.txt .venv/runtime.stamp
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

.venv/slurm.stamp: envs/requirements-slurm.txt .venv/runtime.stamp
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
