"""The merge engine's loops for CPUs, compiled: a piece's entries are read and written once."""
