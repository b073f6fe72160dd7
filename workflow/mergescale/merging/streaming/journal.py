"""How far a merge came: what a stopped one needs to go on, and ends with the same bytes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mergescale.merging.streaming.output_folder import OutputFolder

_SECONDS_BETWEEN_MARKS = 5.0


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


class Journal:
    """The mark of how many pieces are done, in a file beside what they wrote.

    The mark is made only after the pieces are on the disk, and renamed into place whole. `plan`
    names everything that decides the bytes: a mark of another plan is none.
    """

    def __init__(self, file: Path, plan: str) -> None:
        self.file, self.plan = file, plan
        self.done, self.tally = self._read()
        self._marked = time.monotonic()

    def forget(self) -> None:
        """Begin anew, whatever was marked."""
        self.done, self.tally = 0, None

    def mark(self, done: int, tally: Tally, outputs: Sequence[OutputFolder]) -> None:
        """Say that the first `done` pieces are written; takes effect every few seconds."""
        if time.monotonic() - self._marked < _SECONDS_BETWEEN_MARKS:
            return
        for output in outputs:
            output.sync()
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps({"plan": self.plan, "done": done, "tally": asdict(tally)}))
        os.replace(partial, self.file)
        self._marked = time.monotonic()

    def _read(self) -> tuple[int, Tally | None]:
        try:
            mark = json.loads(self.file.read_text())
            if mark["plan"] == self.plan:
                return int(mark["done"]), Tally(**mark["tally"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, None
