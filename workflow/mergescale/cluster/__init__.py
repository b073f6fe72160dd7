"""What the study's jobs ask a cluster for: memory, GPUs and run time by model size.

`machine.py` turns a need into a request, `resources.py` has the formulas for each kind of job,
`study.py` applies them to a configuration, `plan.py` sums a whole study up. Nothing heavy is
imported here: the Snakefile asks for every job.
"""
