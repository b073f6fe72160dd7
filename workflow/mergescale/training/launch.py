"""Starts a training stage in several processes, on one node or on all nodes of a SLURM job.

On several nodes `srun` starts one task on each, and each task its share of the processes with
torchrun's launcher. That is what `accelerate launch` runs for several GPUs; for several CPU
processes it knows MPI alone, so it is called here directly. accelerate takes over in the processes.
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

from mergescale.training.distributed import launched

# Where the processes of all nodes meet, host:port; set for the tasks that srun starts.
MEETING = "MERGESCALE_MEETING_POINT"
# Seconds that nodes wait for each other at the start.
_PATIENCE = 900


def wanted(*, processes: int, gpus: int, nodes: int, device: str) -> int:
    """How many processes are to be started; 1 is this one itself, without a launcher.

    One for each GPU that was asked for, and is there; on CPUs as many as `processes` says.

    Raises:
        ValueError: several nodes for one process; a SLURM job without the GPUs it asked for.
    """
    if launched():
        return 1
    if nodes > 1 and max(processes, gpus) <= 1:
        raise ValueError(
            f"one process does not use {nodes} nodes: say how many with --gpus or --processes"
        )
    job = "SLURM_JOB_ID" in os.environ
    if _spreads(nodes):
        return gpus or processes
    if max(processes, gpus) <= 1 and not (job and gpus):
        return 1
    import torch

    there = 0 if device == "cpu" else torch.cuda.device_count()
    # A local run takes the GPUs that there are; a job has what it asked for, or something is wrong.
    if job and device != "cpu" and there < gpus // nodes:
        raise ValueError(
            f"{there} of the {gpus // nodes} GPUs that the job asked for on {socket.gethostname()} "
            "are visible: see nvidia-smi there, or train on CPUs with --device cpu (compute.device)"
        )
    if job and nodes > 1:
        return gpus or processes
    return min(max(gpus, 1), there) if there else processes


def launch(arguments: Sequence[str], *, processes: int, gpus: int, nodes: int, threads: int) -> int:
    """Run `mergescale ARGUMENTS` in `processes` processes; return the exit status.

    Outside SLURM they are all started here, whatever `nodes` says. On several nodes this process
    becomes srun and does not return.

    Raises:
        ValueError: processes do not spread evenly over nodes.
        OSError: there is no srun, or the nodes do not meet.
    """
    if _spreads(nodes):
        _become_srun(arguments, gpus, nodes, max(threads, _cores_for(processes // nodes)))
    nodes = nodes if MEETING in os.environ else 1
    if processes % nodes:
        raise ValueError(f"{processes} processes do not spread evenly over {nodes} nodes")
    return _start(arguments, processes // nodes, nodes)


def _spreads(nodes: int) -> bool:
    return nodes > 1 and "SLURM_JOB_ID" in os.environ and MEETING not in os.environ


def _cores_for(here: int) -> int:
    """A core for each process of a node, as far as the job has them on every one."""
    # Such as 8(x2),4: eight on two nodes, four on a third.
    given = re.findall(r"\b\d+", os.environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    return min([here, *map(int, given)])


def _become_srun(arguments: Sequence[str], gpus: int, nodes: int, cores: int) -> None:
    """One task on each node of the allocation; the first one that fails ends the others."""
    command = [
        *("srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"),
        *(f"--cpus-per-task={cores}", "--cpu-bind=none", "--kill-on-bad-exit=1"),
        # However long others still work when one has ended well.
        "--wait=0",
        *([f"--gpus={gpus}"] if gpus else []),
        *("--input=none", "--quiet", sys.executable, "-m", "mergescale", *arguments),
    ]
    try:
        os.environ[MEETING] = f"{_first_node()}:{_free_port()}"
        os.execvp("srun", command)
    except FileNotFoundError:
        raise OSError(
            f"SLURM's srun, which starts training on {nodes} nodes, is not here"
        ) from None


def _first_node() -> str:
    """The host where the first task will run."""
    # A batch script runs there; the shell that salloc opens may be on a login node.
    if "SLURMD_NODENAME" in os.environ:
        return socket.gethostname()
    names = ["scontrol", "show", "hostnames", os.environ.get("SLURM_JOB_NODELIST", "")]
    listed = subprocess.run(names, capture_output=True, text=True).stdout.split()
    return listed[0] if listed else socket.gethostname()


def _start(arguments: Sequence[str], here: int, nodes: int) -> int:
    """The processes of this node, until they have ended."""
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # It tells of failures at length; what there is to say is said below.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    meeting = os.environ.get(MEETING) or f"127.0.0.1:{_free_port()}"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The processes leave their words in it.
    with TemporaryDirectory(prefix="mergescale-", ignore_cleanup_errors=True) as words:
        config = LaunchConfig(
            min_nodes=nodes,
            max_nodes=nodes,
            nproc_per_node=here,
            run_id=os.environ.get("SLURM_JOB_ID", "local"),
            rdzv_backend="static",
            rdzv_endpoint=meeting,
            rdzv_configs={
                "rank": int(os.environ["SLURM_NODEID"]) if nodes > 1 else 0,
                "timeout": _PATIENCE,
            },
            max_restarts=0,
            monitor_interval=0.2,
            logs_specs=DefaultLogsSpecs(log_dir=words),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "mergescale", *arguments)
        except ChildFailedError as error:
            return _failed(error, here * nodes)
        except SignalException as stop:
            if stop.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            return 128 + stop.sigval
        except RuntimeError as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise OSError(f"the processes could not meet at {meeting}: {reason}") from None
    return 0


def _failed(error, processes: int) -> int:
    """Say in one sentence why the first of the processes failed; return the exit status."""
    rank, first = min(
        error.failures.items(),
        key=lambda one: (_word(one[1]).get("lost", False), one[1].timestamp),
    )
    word, who = _word(first), f"training process {rank} of {processes}"
    if word:
        sentence = word["message"]
    elif first.exitcode < 0:
        killed = first.exitcode == -signal.SIGKILL
        sentence = f"{who} was ended by {signal.Signals(-first.exitcode).name}" + (
            "; where nobody did that, memory ran out" if killed else ""
        )
    else:
        sentence = f"{who} ended with status {first.exitcode}; its own words are above"
    print(f"mergescale: error: {sentence}", file=sys.stderr)
    return first.exitcode if first.exitcode > 0 else 128 - first.exitcode


def _word(failure) -> dict:
    """What the process itself left as its reason; empty where it could not."""
    data = failure.error_file_data
    return data if isinstance(data, dict) and "lost" in data else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
