#!/usr/bin/env bash
# Snakemake runs this inside the conda environment that it made from mergescale.yaml: the pins are there, the library
# itself is not, since an environment file cannot name the checkout that it belongs to.
set -euo pipefail
python -m pip install --no-deps --no-build-isolation --editable "${MERGESCALE_CHECKOUT:-.}"
