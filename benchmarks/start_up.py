"""Measure the start-up cost of a process: CPU seconds of the imports that stages need.

    python benchmarks/start_up.py [REPEATS]

Each import runs in a process of its own, in turn, so that ratios hold on a noisy machine. These
numbers decide how the study is divided into jobs: a job's work must be worth its start-up.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from statistics import median

IMPORTS = {
    "python alone": "pass",
    "configuration (each parse of the Snakefile)": "import mergescale.config",
    "tasks of the micro world": "import mergescale.tasks.micro_world.evaluation, pyarrow.parquet",
    "torch": "import torch",
    "accelerate": "import accelerate",
    "training stage": "import mergescale.training.training_run",
    "scoring stage": "import mergescale.stages.merge_scores",
    "figures": "import mergescale.figures.style, matplotlib.pyplot, seaborn",
}


def cpu_seconds(code: str) -> float:
    """CPU time of one python process that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the median CPU time of every import."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    measured: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(repeats):
        for name, code in IMPORTS.items():
            measured[name].append(cpu_seconds(code))
    for name, seconds in measured.items():
        print(f"{name:<45} {median(seconds):6.2f} s")


if __name__ == "__main__":
    main()
