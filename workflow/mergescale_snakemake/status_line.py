"""What a run shows on the terminal: jobs done of all, and what the running jobs are at.

Snakemake's own log file keeps everything; on the terminal its block of lines per job gives way to
one line. On a terminal that line is updated in place; elsewhere it is printed now and then. What a
running job is at is the last line of its log, so a job only has to write to its log as usual.
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
IN_PLACE_SECONDS, SPARSE_SECONDS = 0.5, 30.0
TAIL_BYTES = 500
# Told by the status line instead, or of no use to a reader.
REPLACED_EVENTS = ("job_info", "job_started", "job_finished", "progress", "shellcmd")
REPLACED_MESSAGES = (
    "Select jobs to execute...",
    "Assuming unrestricted shared filesystem usage.",
    # Said without a reason after every job on macOS: psutil counts no bytes read and written there.
    "Benchmark: unable to collect cpu and memory benchmark statistics: ",
)


@dataclass(frozen=True)
class RunningJob:
    """A job as the status line names it, and the log that it writes to."""

    label: str
    log: Path | None

    def state(self) -> str:
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
    """One line on where a run stands."""
    minutes, rest = divmod(int(seconds), 60)
    share = f"{done} of {total} jobs ({100 * done // total if total else 0} %)"
    return " | ".join([f"{share} {minutes}:{rest:02}", *(job.state() for job in jobs)])


class StatusLine(logging.Handler):
    """Follows Snakemake's log events and writes the status line to a stream."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self.stream = stream
        self.in_place = stream.isatty()
        self.started = self.written = time.monotonic()
        self.done = self.total = 0
        self.shown = False  # whether an in-place line stands on the terminal now
        self.jobs: dict[int, RunningJob] = {}
        threading.Thread(target=self._refresh, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one event (field names as in Snakemake's logger plugin interface)."""
        event = str(getattr(record, "event", None))
        if event == "job_info":
            names = [record.rule_name, *map(str, dict(record.wildcards).values())]
            self.jobs[record.jobid] = RunningJob(
                " ".join(names), Path(record.log[0]) if record.log else None
            )
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

    def lets_through(self, record: logging.LogRecord) -> bool:
        """Filter for Snakemake's own stream handler: what the status line does not tell."""
        if str(getattr(record, "event", None)) in REPLACED_EVENTS:
            return False
        if record.getMessage() in REPLACED_MESSAGES:
            return False
        with self.lock:
            if self.shown:
                self.stream.write(ERASE)  # the next line begins where the status line stood
                self.shown = False
        return True

    def _refresh(self) -> None:
        while True:
            time.sleep(IN_PLACE_SECONDS)
            waited = time.monotonic() - self.written
            if self.jobs and waited >= (IN_PLACE_SECONDS if self.in_place else SPARSE_SECONDS):
                with self.lock:
                    self._write()

    def _write(self, final: bool = False) -> None:
        self.written = time.monotonic()
        line = status_line(
            self.done, self.total, self.written - self.started, list(self.jobs.values())
        )
        if self.in_place:
            line = ERASE + line[: shutil.get_terminal_size().columns - 1]
            self.shown = not final
        self.stream.write(line + ("" if self.in_place and not final else "\n"))
        self.stream.flush()


def attach_status_line(workflow: Any) -> None:
    """Show the status line of this run; dry and verbose runs and jobs themselves stay as is."""
    settings = workflow.output_settings
    if not workflow.is_main_process:
        return
    if settings.dryrun or settings.verbose or settings.printshellcmds:
        return
    logger = logging.getLogger("snakemake.logging")
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            status = StatusLine(handler.stream)
            handler.addFilter(status.lets_through)
            # One lock for both, so that their lines do not run into each other.
            handler.lock = status.lock
            logger.addHandler(status)
            return


def print_summary(results: str) -> None:
    """Say where the results are, and how the jobs' time split (from timing.csv, if it is there)."""
    folder = Path(results)
    try:
        rows = list(csv.DictReader((folder / "timing.csv").open(newline="")))
        total = sum(float(row["seconds"]) for row in rows)
        parts = ", ".join(f"{row['part']} {float(row['seconds']) / total:.0%}" for row in rows)
        print(f"Time of all jobs together: {total / 60:.1f} min ({parts})")
    except (OSError, KeyError, ValueError, ZeroDivisionError):
        pass
    if (folder / "report.html").is_file():
        print(f"Open {folder / 'report.html'}; figures and tables lie beside it.")
