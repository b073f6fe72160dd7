"""Nodes of a cluster, and how a job's need becomes what the scheduler is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

GB = 1e9
# Share of a GPU that a plan may fill. Assumption: the rest is CUDA's context and fragments.
GPU_FILL = 0.9
# Requested over estimated run time. Assumption: estimates are good to a factor of two.
TIME_MARGIN = 2.0
# Minutes that any job may take to start. Assumption: a cold, shared file system.
START_MINUTES = 10
# What a job that failed asks for next, by attempt. Assumption: two failures for memory are enough.
MEMORY_GROWTH = 1.5
TIME_GROWTH = 2.0


@dataclass(frozen=True)
class Machine:
    """The nodes that jobs run on; the configuration's `compute.cluster` and `compute`.

    Attributes:
        gpu_memory, node_memory: bytes.
        gpu_flops: peak of one GPU, bf16, FLOP/s.
        longest_hours: no job asks for more.
        threads: CPU threads of a process that trains on CPUs, or of another job on each node.
        device: `auto`, `cuda` or `cpu`; no job asks for a GPU where it is `cpu`.
        processes, nodes: of a training job on CPUs, in all; each node gets as many processes.
    """

    gpu_memory: float = 80 * GB
    gpu_flops: float = 312e12
    gpus_per_node: int = 8
    node_memory: float = 1000 * GB
    longest_hours: float = 48
    threads: int = 1
    device: str = "auto"
    processes: int = 1
    nodes: int = 1

    def gpus_for(self, shared: float, each: float = 0.0) -> int:
        """GPUs that hold `shared` bytes between them and `each` bytes on every one.

        A power of two up to a whole node, then whole nodes, as clusters give them out.
        """
        room = max(GPU_FILL * self.gpu_memory - each, 0.1 * self.gpu_memory)
        least = max(1, math.ceil(shared / room))
        if least > self.gpus_per_node:
            return self.gpus_per_node * math.ceil(least / self.gpus_per_node)
        return min(2 ** math.ceil(math.log2(least)), self.gpus_per_node)

    def gpus_for_more(self, gpus: int) -> int:
        """The number that clusters give out next after `gpus`."""
        if gpus < self.gpus_per_node:
            return min(2 * gpus, self.gpus_per_node)
        return gpus + self.gpus_per_node


@dataclass(frozen=True)
class Need:
    """What one job needs, as estimated, without margins.

    Attributes:
        memory: bytes of the host, on each node.
        seconds: wall time of the work.
        reading: of these, seconds to read weights before the work begins.
        gpus: in all, on as many nodes as it takes.
        processes: that train together on CPUs, over the machine's `nodes`.
        disk: bytes that the job leaves on disk.
        state: further bytes on disk while it runs.
        resumes: whether a later attempt goes on where this one stopped.
    """

    memory: float
    seconds: float
    reading: float = 0.0
    gpus: int = 0
    processes: int = 1
    disk: float = 0.0
    state: float = 0.0
    resumes: bool = False


def nodes(need: Need, machine: Machine) -> int:
    """How many nodes a job takes."""
    if not need.gpus:
        return machine.nodes if need.processes > 1 else 1
    return max(1, math.ceil(need.gpus / machine.gpus_per_node))


def request(need: Need, machine: Machine, attempt: int = 1) -> dict[str, int | str]:
    """Snakemake's resources of a job: mem_mb, disk_mb, runtime (minutes), gpu, nodes.

    A job on several nodes has one task on each (`tasks`), and starts them itself. With `mpi` the
    executor tells sbatch of them for jobs with GPUs, too, and with `tasks_per_gpu` 0 it does not
    ask for as many tasks on each GPU.

    Memory and run time grow with `attempt`; GPUs do not, since a failure for want of GPU memory
    calls for a smaller batch.
    """
    memory = need.memory * MEMORY_GROWTH ** (attempt - 1)
    if need.memory <= machine.node_memory:
        memory = min(memory, machine.node_memory)
    minutes = START_MINUTES + need.seconds / 60 * TIME_MARGIN
    minutes = min(minutes * TIME_GROWTH ** (attempt - 1), machine.longest_hours * 60)
    number = nodes(need, machine)
    asked = {
        "mem_mb": math.ceil(memory / 1e6),
        "disk_mb": math.ceil((need.disk + need.state) / 1e6),
        "runtime": math.ceil(minutes),
        "gpu": need.gpus,
        "nodes": number,
    }
    return asked | ({"mpi": "srun", "tasks": number, "tasks_per_gpu": 0} if number > 1 else {})


def submissions(need: Need, machine: Machine) -> int:
    """How often a job is submitted until it is done, if nothing fails and estimates hold.

    More than once only for training that outlasts the longest run time and resumes.
    """
    hours = (need.seconds + START_MINUTES * 60) / 3600
    return max(1, math.ceil(hours / machine.longest_hours)) if need.resumes else 1
