"""The optimizers: one file each, found by `mergescale.training.registry`."""
