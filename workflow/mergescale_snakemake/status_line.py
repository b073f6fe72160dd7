"""What a run shows on the terminal: a status line while it runs, and a summary at its end.

Snakemake's own log file has everything; on the terminal one line replaces its block of lines for
each job: how many jobs are done, and the last line of each running job's log. On a terminal that
line is updated in place; elsewhere, as in a log of continuous integration, it is printed every few
seconds. A dry run shows one line for each job.
"""

from __future__ import annotations

import csv
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ERASE = "\r\033[K"
# Seconds between status lines: in place on a terminal, and printed elsewhere, where the first comes
# sooner, so that a run does not seem to hang.
IN_PLACE_SECONDS, PRINTED_SECONDS, FIRST_SECONDS = 0.5, 10.0, 3.0
TAIL_BYTES = 500
# Replaced by the status line, or of no use to a reader.
REPLACED_EVENTS = ("job_info", "job_started", "job_finished", "progress", "shellcmd")
REPLACED_MESSAGES = (
    "Select jobs to execute...",
    "Assuming unrestricted shared filesystem usage.",
    # Logged after every job on macOS, where psutil counts no bytes read or written.
    "Benchmark: unable to collect cpu and memory benchmark statistics: ",
)
MAX_SUMMARY_PATHS = 5


@dataclass(frozen=True)
class RunningJob:
    """A job as the status line names it, and the log that it writes to."""

    label: str
    log: Path | None

    def describe(self) -> str:
        """The label with the last line of the log, if there is one."""
        last = last_line(self.log) if self.log else ""
        return f"{self.label}: {last}" if last else self.label


def last_line(file: Path) -> str:
    """The last line of a file that is being written; progress bars end lines with returns."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    return next((line for line in reversed(lines) if line), "")


def status_line(done: int, total: int, seconds: float, jobs: Iterable[RunningJob]) -> str:
    """Format the status line.

    Args:
        done: finished jobs.
        total: jobs of the run.
        seconds: since the run began.
        jobs: those that are running.
    """
    minutes, rest = divmod(int(seconds), 60)
    progress = f"{done} of {total} jobs ({100 * done // total if total else 0} %)"
    return " | ".join([f"{progress} {minutes}:{rest:02}", *(job.describe() for job in jobs)])


def dry_run_line(record: logging.LogRecord) -> str:
    """One line for a job of a dry run: rule, wildcards, and reason without its lists of files."""
    reasons = [part.partition(":")[0].strip() for part in (record.reason or "").split(";")]
    name = _job_label(record)
    return f"{name} ({'; '.join(reasons).lower()})" if any(reasons) else name


def _job_label(record: logging.LogRecord) -> str:
    return " ".join([record.rule_name, *map(str, dict(record.wildcards or {}).values())])


class StatusLine(logging.Handler):
    """A log handler that follows Snakemake's events and writes the status line to a stream."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self.stream = stream
        self.in_place = stream.isatty()
        self.started = time.monotonic()
        self.next_line = self.started + (IN_PLACE_SECONDS if self.in_place else FIRST_SECONDS)
        self.done = self.total = 0
        self.shown = False  # whether an in-place line is on the terminal now
        self.jobs: dict[int, RunningJob] = {}
        threading.Thread(target=self._refresh, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Process one event (field names as in Snakemake's logger plugin interface)."""
        event = str(getattr(record, "event", None))
        if event == "job_info":
            log = Path(record.log[0]) if record.log else None
            self.jobs[record.jobid] = RunningJob(_job_label(record), log)
        elif event == "run_info":
            self.total = record.stats.get("total", self.total)
        elif event == "job_finished":
            self.jobs.pop(record.job_id, None)
        elif event == "job_error":
            self.jobs.pop(record.jobid, None)
        elif event == "progress":
            self.done, self.total = record.done, record.total
            if self.done == self.total:
                self._write(final=True)

    def filter_record(self, record: logging.LogRecord) -> bool:
        """Filter for Snakemake's own stream handler: drop what the status line replaces."""
        if str(getattr(record, "event", None)) in REPLACED_EVENTS:
            return False
        if record.getMessage() in REPLACED_MESSAGES:
            return False
        with self.lock:
            if self.shown:
                self.stream.write(ERASE)  # the next line replaces the status line
                self.shown = False
        return True

    def _refresh(self) -> None:
        while True:
            time.sleep(IN_PLACE_SECONDS)
            if self.jobs and time.monotonic() >= self.next_line:
                with self.lock:
                    self._write()

    def _write(self, final: bool = False) -> None:
        now = time.monotonic()
        self.next_line = now + (IN_PLACE_SECONDS if self.in_place else PRINTED_SECONDS)
        line = status_line(self.done, self.total, now - self.started, list(self.jobs.values()))
        if self.in_place:
            line = ERASE + line[: shutil.get_terminal_size().columns - 1]
            self.shown = not final
        self.stream.write(line + ("" if self.in_place and not final else "\n"))
        self.stream.flush()


def attach_status_line(workflow: Any) -> None:
    """Show the status line of a run, or the short list of jobs of a dry run.

    Runs with `--verbose` or `--printshellcmds` keep Snakemake's own output, and so do jobs.

    Args:
        workflow: Snakemake's workflow, as a Snakefile has it.
    """
    settings = workflow.output_settings
    if not workflow.is_main_process or settings.verbose or settings.printshellcmds:
        return
    logger = logging.getLogger("snakemake.logging")
    for handler in logger.handlers:
        if handler.name != "DefaultStreamHandler":
            continue
        if settings.dryrun:
            handler.addFilter(_shorten_dry_run(handler.stream))
            return
        status = StatusLine(handler.stream)
        handler.addFilter(status.filter_record)
        # One lock for both, so that their lines do not mix.
        handler.lock = status.lock
        logger.addHandler(status)
        return


def _shorten_dry_run(stream: Any) -> Any:
    def keep(record: logging.LogRecord) -> bool:
        event = str(getattr(record, "event", None))
        if event == "job_info":
            stream.write(dry_run_line(record) + "\n")
        return event not in ("job_info", "shellcmd")

    return keep


def print_summary(workflow: Any, results: str) -> None:
    """Print what a finished run made, and how its jobs' time is distributed if it made the report.

    Args:
        workflow: Snakemake's workflow, in `onsuccess:`.
        results: the study's folder of results.
    """
    report = f"{results}/report.html"
    made = [str(path) for job in workflow.dag.targetjobs for path in (job.output or job.input)]
    if report not in made:
        paths = list(dict.fromkeys(made))
        for path in paths[:MAX_SUMMARY_PATHS]:
            print(f"Wrote {path}")
        if len(paths) > MAX_SUMMARY_PATHS:
            print(f"and {len(paths) - MAX_SUMMARY_PATHS} more")
        return
    try:
        with Path(results, "timing.csv").open(newline="") as file:
            seconds = {row["part"]: float(row["seconds"]) for row in csv.DictReader(file)}
        total = sum(seconds.values())
        parts = ", ".join(f"{part} {spent / total:.0%}" for part, spent in seconds.items())
        print(f"Total time of all jobs: {total / 60:.1f} min ({parts})")
    except (OSError, KeyError, ValueError, ZeroDivisionError):
        pass
    print(f"Open {report}; figures and tables are in the same folder.")
