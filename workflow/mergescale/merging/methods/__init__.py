"""The merging methods: one file each, found by `registry`."""
