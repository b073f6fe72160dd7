"""What SLURM is told of a job: the call that Snakemake's executor plugin makes of its resources."""

from __future__ import annotations

# In the order of the plugin's call; what a site or a run fills in is in angle brackets.
_HEAD = (
    "sbatch --parsable --job-name <run> --output <log> --export=ALL --comment <job> "
    "-A <account> -p <partition>"
)


def sbatch(resources: dict[str, int | str], threads: int) -> str:
    """The call for one job, as version 2.8.0 of snakemake-executor-plugin-slurm writes it.

    Args:
        resources: mem_mb, runtime (minutes), gpu and nodes, as `machine.request` gives them; and
            tasks, of a job on several nodes.
    """
    words = [f"-t {resources['runtime']}", f"--mem {resources['mem_mb']}"]
    words.append(f"--nodes={resources['nodes']}")
    tasks = resources.get("tasks")
    if tasks or not resources["gpu"]:
        words.append(f"--ntasks={tasks or 1}")
    words += [f"--cpus-per-task={threads}", "-D <folder>"]
    if resources["gpu"]:
        words.append(f"--gpus={resources['gpu']}")
    return " ".join([_HEAD, *words])
