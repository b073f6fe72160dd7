"""The objectives: one file each, found by `mergescale.training.registry`."""
