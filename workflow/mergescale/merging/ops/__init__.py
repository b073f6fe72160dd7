"""Tensor operations that methods are built from; their compiled kernels are in `kernels/`."""
