"""Starts a training stage in several processes, on one node or on all nodes of a SLURM job.

On several nodes `srun` starts one task on each, and each task starts its processes with torchrun's
launcher. `accelerate launch` does the same for several GPUs, but knows only MPI for several CPU
processes; so torchrun is called directly, and accelerate takes over in the processes.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mergescale.training.compute_plan import TrainingCompute
from mergescale.training.distributed import under_torchrun

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

# Environment variable with the host:port where the launchers of all nodes meet; set for the tasks
# that srun starts.
RENDEZVOUS_ENDPOINT = "MERGESCALE_RENDEZVOUS_ENDPOINT"
# Seconds that nodes wait for each other at the start.
RENDEZVOUS_TIMEOUT = 900


def launch_if_distributed(compute: TrainingCompute) -> None:
    """Run this command in several processes if `compute` requests them; else return.

    Where processes are started, this one waits for them and exits with their status.

    Raises:
        ValueError: the requested processes, nodes and GPUs do not fit together.
        OSError: srun is missing, or the nodes do not meet.
        SystemExit: the processes have ended.
    """
    processes = count_processes(compute)
    if processes > 1:
        sys.exit(launch(sys.argv[1:], compute, processes))


def count_processes(compute: TrainingCompute) -> int:
    """How many processes to start; 1 is this process itself, without a launcher.

    One for each GPU that is requested and visible; on CPUs as many as `compute.processes`.

    Raises:
        ValueError: several nodes for one process, or a SLURM job without the GPUs it requested.
    """
    if under_torchrun():
        return 1
    processes, gpus, nodes = compute.processes, compute.gpus, compute.nodes
    if nodes > 1 and max(processes, gpus) <= 1:
        raise ValueError(
            f"one process does not use {nodes} nodes: set --gpus or --processes above 1"
        )
    in_job = "SLURM_JOB_ID" in os.environ
    if _needs_srun(nodes):
        return gpus or processes
    if max(processes, gpus) <= 1 and not (in_job and gpus):
        return 1
    import torch

    visible = 0 if compute.device == "cpu" else torch.cuda.device_count()
    # A local run takes the GPUs that are there; a job has what it requested, or something is wrong.
    if in_job and compute.device != "cpu" and visible < gpus // nodes:
        raise ValueError(
            f"{visible} of the {gpus // nodes} GPUs that the job requested on "
            f"{socket.gethostname()} are visible: see nvidia-smi there, or train on CPUs with "
            "--device cpu (compute.device)"
        )
    if in_job and nodes > 1:
        return gpus or processes
    return min(max(gpus, 1), visible) if visible else processes


def launch(arguments: Sequence[str], compute: TrainingCompute, processes: int) -> int:
    """Run `mergescale ARGUMENTS` in several processes.

    Outside SLURM all of them are started here, whatever `compute.nodes` is. On several nodes this
    process becomes srun and does not return.

    Returns:
        The exit status: that of the process that failed first.

    Raises:
        ValueError: the processes do not divide evenly among the nodes.
        OSError: srun is missing, or the nodes do not meet.
    """
    nodes = compute.nodes
    if _needs_srun(nodes):
        cores = max(compute.threads, _limit_to_job_cores(processes // nodes))
        _exec_srun(arguments, compute.gpus, nodes, cores)
    nodes = nodes if RENDEZVOUS_ENDPOINT in os.environ else 1
    if processes % nodes:
        raise ValueError(f"{processes} processes do not divide evenly among {nodes} nodes")
    return _run_torchrun(arguments, processes // nodes, nodes)


def _needs_srun(nodes: int) -> bool:
    return nodes > 1 and "SLURM_JOB_ID" in os.environ and RENDEZVOUS_ENDPOINT not in os.environ


def _limit_to_job_cores(processes: int) -> int:
    """A core for each process of a node, as far as the job has them on every node."""
    # Such as 8(x2),4: eight on two nodes, four on a third.
    cores = re.findall(r"\b\d+", os.environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    return min([processes, *map(int, cores)])


def _exec_srun(arguments: Sequence[str], gpus: int, nodes: int, cores: int) -> None:
    """Become srun: one task on each node; the first one that fails ends the others."""
    command = [
        *("srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"),
        *(f"--cpus-per-task={cores}", "--cpu-bind=none", "--kill-on-bad-exit=1"),
        # However long others still run after one has succeeded.
        "--wait=0",
        *([f"--gpus={gpus}"] if gpus else []),
        *("--input=none", "--quiet", sys.executable, "-m", "mergescale", *arguments),
    ]
    try:
        os.environ[RENDEZVOUS_ENDPOINT] = f"{_first_node()}:{_free_port()}"
        os.execvp("srun", command)
    except FileNotFoundError:
        raise OSError(
            f"SLURM's srun, which starts training on {nodes} nodes, was not found"
        ) from None


def _first_node() -> str:
    """The host where the first task will run."""
    # A batch script runs there; the shell that salloc opens may be on a login node.
    if "SLURMD_NODENAME" in os.environ:
        return socket.gethostname()
    command = ["scontrol", "show", "hostnames", os.environ.get("SLURM_JOB_NODELIST", "")]
    names = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return names[0] if names else socket.gethostname()


def _run_torchrun(arguments: Sequence[str], local_processes: int, nodes: int) -> int:
    """Run this node's processes until they have ended; return the exit status."""
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # torchrun logs pages about a failure; its one-line reason is printed below.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    endpoint = os.environ.get(RENDEZVOUS_ENDPOINT) or f"127.0.0.1:{_free_port()}"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The processes write their error files there.
    with TemporaryDirectory(prefix="mergescale-", ignore_cleanup_errors=True) as log_dir:
        config = LaunchConfig(
            min_nodes=nodes,
            max_nodes=nodes,
            nproc_per_node=local_processes,
            run_id=os.environ.get("SLURM_JOB_ID", "local"),
            rdzv_backend="static",
            rdzv_endpoint=endpoint,
            rdzv_configs={
                "rank": int(os.environ["SLURM_NODEID"]) if nodes > 1 else 0,
                "timeout": RENDEZVOUS_TIMEOUT,
            },
            max_restarts=0,
            monitor_interval=0.2,
            logs_specs=DefaultLogsSpecs(log_dir=log_dir),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "mergescale", *arguments)
        except ChildFailedError as error:
            return _print_first_failure(error, local_processes * nodes)
        except SignalException as stop:
            if stop.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            return 128 + stop.sigval
        except RuntimeError as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise OSError(f"the processes could not meet at {endpoint}: {reason}") from None
    return 0


def _print_first_failure(error: ChildFailedError, processes: int) -> int:
    """Print in one line why the first process failed; return the exit status."""
    rank, first = min(
        error.failures.items(),
        key=lambda item: (_read_error(item[1]).get("peer_failure", False), item[1].timestamp),
    )
    reported, process = _read_error(first), f"training process {rank} of {processes}"
    if reported:
        message = reported["message"]
    elif first.exitcode < 0:
        killed = first.exitcode == -signal.SIGKILL
        message = f"{process} was ended by {signal.Signals(-first.exitcode).name}" + (
            "; if nobody killed it, memory ran out" if killed else ""
        )
    else:
        message = f"{process} exited with status {first.exitcode}; see its output above"
    print(f"mergescale: error: {message}", file=sys.stderr)
    return first.exitcode if first.exitcode > 0 else 128 - first.exitcode


def _read_error(failure: ProcessFailure) -> dict[str, Any]:
    """The error that the process itself reported; empty if it could not."""
    data = failure.error_file_data
    return data if isinstance(data, dict) and "peer_failure" in data else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
