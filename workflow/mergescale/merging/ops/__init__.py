"""The tensor operations that methods are built from, in torch; `kernels/` has compiled ones."""
