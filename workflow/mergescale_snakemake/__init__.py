"""All code that knows Snakemake or SLURM: resources of jobs, status line, orphans, submission."""
