"""Nodes of a cluster, and how the estimate of a job becomes its request to the scheduler."""

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
# How the request of a failed job grows with each attempt. Assumption: two failures for want of
# memory are enough.
MEMORY_GROWTH = 1.5
TIME_GROWTH = 2.0


@dataclass(frozen=True)
class Machine:
    """The nodes that jobs run on; the configuration's `compute.cluster` and `compute`.

    Attributes:
        gpu_memory: bytes of one GPU.
        gpu_flops: peak of one GPU, bf16, FLOP/s.
        gpus_per_node: GPUs of a node.
        node_memory: bytes of a node.
        longest_hours: the most hours that a job requests.
        threads: CPU threads of a process that trains on CPUs, or of another job on each node.
        device: `auto`, `cuda` or `cpu`; with `cpu` no job requests a GPU.
        processes: of a training job on CPUs, over all its nodes.
        nodes: of a training job on CPUs; each node gets as many processes.
    """

    gpu_memory: float = 80 * GB
    gpu_flops: float = 312e12
    gpus_per_node: int = 8
    node_memory: float = 1000 * GB
    max_hours: float = 48
    threads: int = 1
    device: str = "auto"
    processes: int = 1
    nodes: int = 1

    def num_gpus_for(self, shared: float, each: float = 0.0) -> int:
        """Number of GPUs that hold a job: a power of two up to a node, then whole nodes.

        Args:
            shared: bytes that the GPUs hold between them.
            each: bytes that every GPU holds.
        """
        room = max(GPU_FILL * self.gpu_memory - each, 0.1 * self.gpu_memory)
        minimum = max(1, math.ceil(shared / room))
        if minimum > self.gpus_per_node:
            return self.gpus_per_node * math.ceil(minimum / self.gpus_per_node)
        return min(2 ** math.ceil(math.log2(minimum)), self.gpus_per_node)

    def next_num_gpus(self, gpus: int) -> int:
        """The next larger number of GPUs that clusters allocate."""
        if gpus < self.gpus_per_node:
            return min(2 * gpus, self.gpus_per_node)
        return gpus + self.gpus_per_node


@dataclass(frozen=True)
class ResourceEstimate:
    """What one job is estimated to need, without margins.

    Attributes:
        memory: bytes of the host, on each node.
        seconds: wall time of the work.
        reading: of these, seconds to read weights before the work begins.
        gpus: in all, on as many nodes as they take.
        processes: that train together on CPUs, over the machine's `nodes`.
        disk: bytes that the job leaves on disk.
        state: further bytes on disk while it runs.
        resumes: whether a later attempt resumes where this one stopped.
    """

    memory: float
    seconds: float
    reading: float = 0.0
    gpus: int = 0
    processes: int = 1
    disk: float = 0.0
    state: float = 0.0
    resumes: bool = False


def num_nodes(estimate: ResourceEstimate, machine: Machine) -> int:
    """Number of nodes that a job takes."""
    if not estimate.gpus:
        return machine.nodes if estimate.processes > 1 else 1
    return max(1, math.ceil(estimate.gpus / machine.gpus_per_node))


def scheduler_request(
    estimate: ResourceEstimate, machine: Machine, attempt: int = 1
) -> dict[str, int | str]:
    """Snakemake's resources of a job: mem_mb, disk_mb, runtime (minutes), gpu, nodes.

    A job on several nodes has one task on each (`tasks`), which starts the node's processes. With
    `mpi` the executor passes `--ntasks` to sbatch for jobs with GPUs, too, and with `tasks_per_gpu`
    0 it does not request as many tasks on each GPU.

    Memory and run time grow with `attempt`; GPUs do not, since a failure for want of GPU memory
    calls for a smaller batch. Memory that no node has is requested all the same, so that the
    scheduler refuses the job instead of killing it later.
    """
    memory = estimate.memory * MEMORY_GROWTH ** (attempt - 1)
    if estimate.memory <= machine.node_memory:
        memory = min(memory, machine.node_memory)
    minutes = START_MINUTES + estimate.seconds / 60 * TIME_MARGIN
    minutes = min(minutes * TIME_GROWTH ** (attempt - 1), machine.max_hours * 60)
    nodes = num_nodes(estimate, machine)
    request = {
        "mem_mb": math.ceil(memory / 1e6),
        "disk_mb": math.ceil((estimate.disk + estimate.state) / 1e6),
        "runtime": math.ceil(minutes),
        "gpu": estimate.gpus,
        "nodes": nodes,
    }
    return request | ({"mpi": "srun", "tasks": nodes, "tasks_per_gpu": 0} if nodes > 1 else {})


def num_submissions(estimate: ResourceEstimate, machine: Machine) -> int:
    """How often a job is submitted until it is done, if nothing fails and the estimate holds.

    More than once only for training that outlasts the longest run time and resumes.
    """
    hours = (estimate.seconds + START_MINUTES * 60) / 3600
    return max(1, math.ceil(hours / machine.max_hours)) if estimate.resumes else 1
