"""Progress of a long stage: a bar on a terminal, a line every few seconds in a log.

The status line of a run (`mergescale_snakemake.status_line`) shows the last line of each running
job's log.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 2.0


class Progress:
    """Progress in steps; use as a context manager.

    Attributes:
        total: number of steps.
        done: steps that are done.
        shown: whether anything is printed; only one of several processes should print.
    """

    def __init__(
        self, total: int, label: str, start: int = 0, unit: str = "it", shown: bool = True
    ) -> None:
        self.total, self.done, self.shown = total, start, shown
        self._written = float("-inf")
        self._bar = tqdm(
            total=total,
            initial=start,
            desc=label,
            unit=unit,
            disable=not (shown and sys.stderr.isatty()),
            leave=False,
            mininterval=0.5,
        )
        if start and shown and self._bar.disable:
            print(f"resuming from step {start} of {total}", file=sys.stderr, flush=True)

    def update(self, done: int, **shown: object) -> None:
        """Report that `done` steps are done in all.

        Args:
            done: steps that are done, not those since the last call.
            **shown: numbers (or 0-d tensors) to print, such as the loss.
        """
        self._bar.update(done - self.done)
        self.done = done
        now = time.monotonic()
        if not self.shown or (
            now - self._written < _SECONDS_BETWEEN_LINES and not self._ends_log(done)
        ):
            return
        self._written = now
        # Reading a number from a GPU waits for it, so this is not done at every step.
        values = {name: f"{float(value):.3g}" for name, value in shown.items()}
        self._bar.set_postfix(values)
        if self._bar.disable:
            tail = "".join(f" {name} {value}" for name, value in values.items())
            print(f"{done}/{self.total}{tail}", file=sys.stderr, flush=True)

    def _ends_log(self, done: int) -> bool:
        """Whether this is the end of a log that has earlier lines."""
        return self._bar.disable and done == self.total and self._written > float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()


def format_bytes(count: float) -> str:
    """Write a number of bytes with three digits: 950 B, 1.52 kB, 440 MB, 17.1 GB."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= 0.9995 * size:
            digits = len(str(round(count / size)))
            return f"{count / size:.{max(0, 3 - digits)}f} {unit}"
    return f"{count:.0f} B"


class ByteProgress:
    """Bytes done out of a total, with bytes per second; use as a context manager."""

    def __init__(self, total: int, label: str) -> None:
        self.total, self.done = total, 0
        self._moved = 0
        self._written = time.monotonic()
        self._started = self._written
        self._bar = tqdm(
            total=total,
            desc=label,
            unit="B",
            unit_scale=True,
            disable=not sys.stderr.isatty(),
            leave=False,
            mininterval=0.2,
        )

    def add(self, count: int) -> None:
        """Report that `count` more bytes are done."""
        self.done += count
        self._moved += count
        self._bar.update(count)
        now = time.monotonic()
        if self._bar.disable and now - self._written >= _SECONDS_BETWEEN_LINES:
            self._written = now
            rate = self._moved / (now - self._started)
            print(
                f"{format_bytes(self.done)} of {format_bytes(self.total)} at "
                f"{format_bytes(rate)}/s",
                file=sys.stderr,
                flush=True,
            )

    def skip(self, count: int) -> None:
        """Subtract `count` bytes that need not be moved from the total, and from the rate."""
        self.total -= count
        self._bar.total = self.total
        self._bar.refresh()

    def summary(self) -> str:
        """The number of bytes moved, the time, and the rate."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = format_bytes(self._moved / seconds)
        return f"{format_bytes(self._moved)} in {seconds:,.1f} s, {rate}/s"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
