#!/usr/bin/env bash
# Snakemake runs this inside the conda environment that it made from mergescale.yaml. It adds the library itself, which
# an environment file cannot name, since it belongs to a checkout.
set -euo pipefail
python -m pip install --no-deps --no-build-isolation --editable "${MERGESCALE_CHECKOUT:-.}"
