"""How far a merge came: what a stopped one needs to go on, and ends with the same bytes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mergescale.checkpoints.writer import CheckpointWriter

_SECONDS_BETWEEN_MARKS = 1.0


@dataclass
class Tally:
    """What is counted along a pass.

    Attributes:
        moving: for each output, entries of which lambda * tau is not 0.
        lost: those of them whose value in the output's dtype is the base's all the same.
        digests: sums of the content digests of the base and every expert.
        differs: whether each expert differs from the base anywhere.
    """

    moving: list[int]
    lost: list[int]
    digests: list[int]
    differs: list[bool]

    @classmethod
    def empty(cls, outputs: int, models: int) -> Tally:
        """Nothing counted yet; `models` counts the base."""
        return cls([0] * outputs, [0] * outputs, [0] * models, [False] * (models - 1))

    def add(self, other: Tally) -> None:
        """Take in what was counted on another piece."""
        for mine, theirs in (
            (self.moving, other.moving),
            (self.lost, other.lost),
            (self.digests, other.digests),
        ):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]
        self.differs[:] = [a or b for a, b in zip(self.differs, other.differs, strict=True)]

    def copy(self) -> Tally:
        """What is counted now."""
        return Tally(self.moving[:], self.lost[:], self.digests[:], self.differs[:])


class Journal:
    """The mark of how many pieces are done, in a file beside what they wrote.

    A thread of its own waits until the disk holds what was written, and then makes the mark,
    renamed into place whole, while the merge goes on; so little is left to wait for at the end.
    `plan` names everything that decides the bytes: a mark of another plan is none. sync: without it
    no mark waits for the disk, and one counts only until the machine is started again.
    """

    def __init__(self, file: Path, plan: str, sync: bool = True) -> None:
        self.file, self.plan, self.sync = file, plan, sync
        self.done, self.tally = self._read()
        self._latest: tuple[int, Tally] | None = None
        self._error: OSError | None = None

    def forget(self) -> None:
        """Begin anew, whatever was marked."""
        self.done, self.tally = 0, None

    @contextmanager
    def marking(self, outputs: Sequence[CheckpointWriter]) -> Iterator[None]:
        """Within this, marks are made of what is `reached`, every second or so."""
        ended = threading.Event()

        def mark() -> None:
            try:
                while not ended.wait(_SECONDS_BETWEEN_MARKS):
                    self._mark(outputs, ended)
            except OSError as error:
                self._error = error

        thread = threading.Thread(target=mark, name="journal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        self._raise()

    def reached(self, done: int, tally: Tally) -> None:
        """The first `done` pieces are written. Raises OSError where earlier ones cannot be kept."""
        self._latest = done, tally.copy()
        self._raise()

    def _mark(self, outputs: Sequence[CheckpointWriter], ended: threading.Event) -> None:
        latest, self._latest = self._latest, None
        boot = None if self.sync else this_boot()
        if latest is None or (not self.sync and boot is None):
            return
        if self.sync:
            for output in outputs:
                output.sync()
        if ended.is_set():  # the files may be closed by now, or the folder have its name
            return
        done, tally = latest
        mark = {"plan": self.plan, "boot": boot, "done": done, "tally": asdict(tally)}
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(mark))
        os.replace(partial, self.file)

    def _raise(self) -> None:
        if self._error:
            raise self._error

    def _read(self) -> tuple[int, Tally | None]:
        try:
            mark = json.loads(self.file.read_text())
            if mark["plan"] == self.plan and mark["boot"] in (None, this_boot()):
                return int(mark["done"]), Tally(**mark["tally"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, None


def this_boot() -> str | None:
    """Another word each time the machine is started; None where nobody tells."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
