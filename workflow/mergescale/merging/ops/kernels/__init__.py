"""Kernels compiled by numba, named as the operations in `ops/` that they compute."""
