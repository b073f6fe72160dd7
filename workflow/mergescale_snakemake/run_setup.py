"""What a run sets up before its first job: the jobs' environment, and two repairs."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import mergescale


def prepare_job_environment(workflow: Any) -> None:
    """Check which library is installed, and put the `mergescale` command that belongs to it first.

    Jobs inherit PATH, with the folder of this Python first, so that Snakemake may be called by its
    full path. With `--sdm conda` the environment of a job comes before it; into that environment
    `envs/mergescale.post-deploy.sh` installs the library of MERGESCALE_CHECKOUT.

    Args:
        workflow: Snakemake's workflow, as a Snakefile has it.

    Raises:
        SystemExit: the installed library belongs to another checkout.
    """
    checkout = Path(workflow.basedir).resolve()
    library = Path(mergescale.__file__).resolve().parents[1]
    if library != checkout / "workflow":
        raise SystemExit(
            f"mergescale: error: this environment has the library of {library.parent} installed, "
            f"not that of {checkout}; run `pip install --no-deps --editable .` in {checkout}"
        )
    own = str(Path(sys.executable).parent)
    others = (entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry != own)
    os.environ["PATH"] = os.pathsep.join([own, *others])
    os.environ["MERGESCALE_CHECKOUT"] = str(checkout)


def disable_job_rate_limit(workflow: Any) -> None:
    """Lift Snakemake's limit on job starts (`--max-jobs-per-timespan`) in a local run.

    The limit of 100 a second makes the scheduler examine all ready jobs again one second after each
    time it did so, besides whenever a job finishes, and each of these sets a timer of its own. With
    a hundred ready jobs that grows to minutes of CPU time in one run. Local jobs take seconds each,
    so the limit is never near; on a cluster it stays, since it shields the scheduler there.

    Written for Snakemake 9.27 (`JobScheduler.job_rate_limiter`); where there is no such attribute
    nothing happens, and the run only takes more CPU time.

    Args:
        workflow: Snakemake's workflow, in `onstart:`, when its scheduler exists.
    """
    scheduler = getattr(workflow, "scheduler", None)
    if workflow.local_exec and hasattr(scheduler, "job_rate_limiter"):
        scheduler.job_rate_limiter = None


def stop_gracefully_on_sigterm(workflow: Any) -> None:
    """Let SIGTERM end a run gracefully at any time; Snakemake's own handler can deadlock.

    That handler (`JobScheduler.exit_gracefully` of Snakemake 9.27) takes the scheduler's lock. A
    signal handler runs in the main thread, between two steps of whatever that thread is doing; if
    the thread holds the lock, as it does while it processes a job that has just ended, it waits for
    itself for ever. `timeout` and `make` make this likely: they send SIGTERM several times, and to
    the jobs as well, whose failures are then being processed. Here the handler only puts the signal
    into a queue that may be used in handlers, and a thread takes the lock.

    Args:
        workflow: Snakemake's workflow, in `onstart:`, when its scheduler exists.
    """
    scheduler = getattr(workflow, "scheduler", None)
    if not hasattr(scheduler, "exit_gracefully"):
        return
    if threading.current_thread() is not threading.main_thread():
        return
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handle_signals() -> None:
        while True:
            scheduler.exit_gracefully(signals.get())

    threading.Thread(target=handle_signals, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda number, frame: signals.put(number))
