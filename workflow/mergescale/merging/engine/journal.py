"""The record of how far a merge has come, from which an interrupted one resumes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mergescale.checkpoints.writer import CheckpointWriter
from mergescale.provenance.atomic import write_json

_SECONDS_BETWEEN_COMMITS = 1.0


@dataclass
class Tally:
    """What is counted along a pass.

    Attributes:
        num_updated: For each 16-bit output, the entries of lambda * tau that are not 0.
        num_rounded_away: Those of them whose value in the output's dtype is still the base's.
        digests: Sums of the content digests of the base, every expert and every statistics file.
        differs: Whether each expert differs from the base anywhere.
    """

    num_updated: list[int]
    num_rounded_away: list[int]
    digests: list[int]
    differs: list[bool]

    @classmethod
    def empty(cls, outputs: int, experts: int, statistics_files: int = 0) -> Tally:
        """A tally before anything is counted."""
        digests = 1 + experts + statistics_files
        return cls([0] * outputs, [0] * outputs, [0] * digests, [False] * experts)

    def add(self, other: Tally) -> None:
        """Add what was counted on another block."""
        for own, others in (
            (self.num_updated, other.num_updated),
            (self.num_rounded_away, other.num_rounded_away),
            (self.digests, other.digests),
        ):
            own[:] = [a + b for a, b in zip(own, others, strict=True)]
        self.differs[:] = [a or b for a, b in zip(self.differs, other.differs, strict=True)]

    def copy(self) -> Tally:
        """A copy that later additions leave as it is."""
        return Tally(
            self.num_updated[:], self.num_rounded_away[:], self.digests[:], self.differs[:]
        )


class Journal:
    """How many blocks are done, in a file beside the outputs.

    A thread waits until the blocks are on the disk and then commits their number, while the merge
    continues; so there is little to wait for at the end.

    Attributes:
        file: The file.
        plan: Digest of everything that decides the outputs' bytes; the journal of another plan is
            ignored.
        sync: Whether commits wait for the disk; without it they are valid until the machine is
            restarted.
        done: Number of blocks that an earlier call has finished.
        tally: What it has counted; None if it has finished none.
    """

    def __init__(self, file: Path, plan: str, sync: bool = True) -> None:
        self.file, self.plan, self.sync = file, plan, sync
        self.done, self.tally = self._read()
        self._latest: tuple[int, Tally] | None = None
        self._error: OSError | None = None

    def reset(self) -> None:
        """Ignore what an earlier call has finished."""
        self.done, self.tally = 0, None

    @contextmanager
    def commit_in_background(self, outputs: Sequence[CheckpointWriter]) -> Iterator[None]:
        """Commit what `advance` reports about every second while this context is open."""
        ended = threading.Event()

        def commit_repeatedly() -> None:
            try:
                while not ended.wait(_SECONDS_BETWEEN_COMMITS):
                    self._commit(outputs, ended)
            except OSError as error:
                self._error = error

        thread = threading.Thread(target=commit_repeatedly, name="journal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        self._raise_error()

    def advance(self, done: int, tally: Tally) -> None:
        """Report that the first `done` blocks are written.

        Raises:
            OSError: An earlier commit failed.
        """
        self._latest = done, tally.copy()
        self._raise_error()

    def _commit(self, outputs: Sequence[CheckpointWriter], ended: threading.Event) -> None:
        latest, self._latest = self._latest, None
        boot = None if self.sync else boot_id()
        if latest is None or (not self.sync and boot is None):
            return
        if self.sync:
            for output in outputs:
                output.sync()
        if ended.is_set():  # by now the files may be closed and the folder renamed
            return
        done, tally = latest
        entry = {"plan": self.plan, "boot": boot, "done": done, "tally": asdict(tally)}
        write_json(self.file, entry)

    def _raise_error(self) -> None:
        if self._error:
            raise self._error

    def _read(self) -> tuple[int, Tally | None]:
        try:
            entry = json.loads(self.file.read_text())
            if entry["plan"] == self.plan and entry["boot"] in (None, boot_id()):
                return int(entry["done"]), Tally(**entry["tally"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, None


def boot_id() -> str | None:
    """A text that changes with each restart of the machine; None where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
