"""The command line: one sub-command for each stage, thin over `mergescale.stages`."""
