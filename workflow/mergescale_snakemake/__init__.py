"""The study on a cluster: what a job needs, and a run that survives its scheduler's bad days."""
