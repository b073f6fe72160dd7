"""The merging methods: one file each, found by `mergescale.merging.registry`."""
