"""Merges from folders to folders: opened, checked, streamed, recorded, and given their names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.writer import CheckpointWriter
from mergescale.cores import usable_cores
from mergescale.merging.engine.check import check_tokenizers
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.estimate import estimate_io
from mergescale.merging.engine.journal import Journal
from mergescale.merging.engine.memory import (
    keep_freed_memory,
    max_threads,
    working_memory,
)
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.model_card import model_card
from mergescale.merging.engine.record import build_record, plan, plan_digest
from mergescale.merging.ops.kernels.loading import load_kernels, worth_compiling


@dataclass(frozen=True)
class Done:
    """A finished merge: its folder, its record (merge.json), and whether it was there before."""

    folder: Path
    record: Mapping[str, Any]
    found: bool


def run_merges(
    base: str | Path,
    experts: Mapping[str, str | Path],
    merges: Sequence[Merge],
    *,
    threads: int | None = 1,
    memory_limit: int | None = None,
    device: str = "cpu",
    kept: Path | None = None,
    tokenizers: str = "same",
    sync: bool = True,
    progress: Callable[[int], None] = lambda count: None,
    spared: Callable[[int], None] = lambda count: None,
) -> list[Done]:
    """Make several merges of one base and its experts in one pass over their files.

    experts: {name: folder}. threads, device: see `Engine`; None are as many as there are cores and
    memory allows. memory_limit: bytes of anonymous memory
    of this process, what it holds already included; without one, each thread takes what is fast.
    kept: a folder for thresholds, which later merges of these experts use again.
    tokenizers: "ignore" merges experts of another tokenizer than the base's; "same" refuses them.
    sync: wait until the disk holds an output before it gets its name. Without, a machine that goes
    down in the next minute may leave a damaged one; a process that is killed never does.
    progress: told of the bytes of every step. spared: of those of `estimate` that are not moved,
    since thresholds are kept or a merge is already there.

    A merge that is already there is left alone; a stopped one goes on. Nothing appears under a
    final name before it is whole, and nothing is left of one that fails. Raises ValueError with one
    sentence for bad inputs, FileExistsError for a folder that holds something else, OSError where
    it cannot be written.
    """
    import torch

    threads_before = torch.get_num_threads()
    with ExitStack() as open_sources:
        sources = {
            name: open_sources.enter_context(CheckpointReader.open(folder, f"{name} ({folder})"))
            for name, folder in sorted(experts.items())
        }
        ground = open_sources.enter_context(CheckpointReader.open(base, f"the base ({base})"))
        for name, source in sources.items():
            if source.folder.samefile(ground.folder):
                raise ValueError(f"expert {name} is the base itself: {base}")
        folders = {name: source.folder for name, source in sources.items()}
        check_tokenizers(ground.folder, folders, tokenizers)
        new = [merge for merge in merges if not _there(merge.folder)]
        compiled = device == "cpu" and worth_compiling(estimate_io(ground, sources, new).read)
        if compiled:
            load_kernels()  # before memory is looked at, of which it takes some
        if threads is None:
            cores = usable_cores()
            threads = max_threads(memory_limit, len(sources), cores) if memory_limit else cores
        memory = (
            None if memory_limit is None else working_memory(memory_limit, len(sources), threads)
        )
        engine = Engine(
            ground, sources, threads=threads, memory=memory, device=device, compiled=compiled
        )
        done: dict[int, Done] = {}
        for number, merge in enumerate(merges):
            if found := _finished(merge, engine):
                done[number] = found
        todo = [merge for number, merge in enumerate(merges) if number not in done]
        needed = estimate_io(ground, sources, todo).moved if todo else 0
        spared(estimate_io(ground, sources, merges).moved - needed)
        if todo:
            torch.set_num_threads(1)  # the engine's own threads take the pieces
            keep_freed_memory()
            try:
                made = iter(_stream(engine, todo, kept, tokenizers, sync, progress, spared))
                done |= {n: next(made) for n in range(len(merges)) if n not in done}
            finally:
                torch.set_num_threads(threads_before)
        return [done[number] for number in range(len(merges))]


def _stream(
    engine: Engine,
    merges: Sequence[Merge],
    kept: Path | None,
    tokenizers: str,
    sync: bool,
    progress: Callable[[int], None],
    spared: Callable[[int], None],
) -> list[Done]:

    def planned() -> str:
        return plan_digest([engine.elements, *(plan(merge, engine) for merge in merges)])

    begun = planned()
    outputs = [_output(merge, engine) for merge in merges]
    _check_apart(outputs, engine, kept)
    with _discarded_if_it_fails(outputs):
        for output in outputs:  # before anything is looked at: nobody else changes it then
            output.lock()
        journal = Journal(outputs[0].partial / "journal.json", begun, sync)
        if not all(output.begun for output in outputs):
            journal.forget()
        for output in outputs:
            output.start(anew=journal.done == 0)
        looked = [0]
        found = engine.statistics(merges, kept, _counting(progress, looked))
        sources = dict(zip(engine.names, engine.experts, strict=True))
        spared(estimate_io(engine.base, sources, merges).looked - looked[0])
        tally = engine.run(merges, outputs, found, journal, progress, spared)
        if planned() != begun:
            raise ValueError("a model's files changed while they were merged: merge again")
        records = [
            build_record(engine, merges, number, tally, found) | {"tokenizers": tokenizers}
            for number in range(len(merges))
        ]
        for output, merge, record in zip(outputs, merges, records, strict=True):
            output.finish(record, model_card(merge, record), sync)
    return [
        Done(output.folder, record, found=False)
        for output, record in zip(outputs, records, strict=True)
    ]


def _counting(progress: Callable[[int], None], total: list[int]) -> Callable[[int], None]:
    """`progress`, which also adds up what it is told in `total[0]`."""

    def told(count: int) -> None:
        total[0] += count
        progress(count)

    return told


@contextmanager
def _discarded_if_it_fails(outputs: Sequence[CheckpointWriter]) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        for output in reversed(outputs):  # what lies in one of them is another process's
            output.release()
        raise
    except KeyboardInterrupt:
        for output in outputs:  # goes on next time
            output.close()
        raise
    except BaseException:
        for output in reversed(outputs):  # the first one made the folder of all
            output.discard()
        raise


def _there(folder: Path) -> bool:
    """Whether there is something in the place of an output."""
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def _finished(merge: Merge, engine: Engine) -> Done | None:
    """A folder that is this merge already; FileExistsError for one that is something else."""
    folder = merge.folder
    if folder.name in ("", ".."):
        raise ValueError(f"{folder} cannot be the name of a new folder")
    if not folder.is_symlink() and not _there(folder):
        return None
    try:
        record = json.loads((folder / "merge.json").read_text(encoding="utf-8"))
        whole = _output(merge, engine).finished and "rounded_away_fraction" in record
        if whole and record["plan"] == plan_digest(plan(merge, engine)):
            return Done(folder, record, found=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise FileExistsError(
        f"{folder} exists already and is not this merge, or not all of it: remove it to write it "
        "anew"
    )


def _output(merge: Merge, engine: Engine) -> CheckpointWriter:
    masks = tuple(merge.method.masks(merge.experts)) if merge.method.masks else ()
    return CheckpointWriter(merge.folder, engine.base, merge.dtype, merge.shard_bytes, masks)


def _check_apart(outputs: Sequence[CheckpointWriter], engine: Engine, kept: Path | None) -> None:
    """Raises ValueError for an input in a hidden folder, which would be emptied.

    Also for kept thresholds in an output: they would be there before it.
    """
    for output in outputs:
        for place in (output.folder, output.partial) if kept else ():
            if Path(os.path.realpath(kept)).is_relative_to(os.path.realpath(place)):
                raise ValueError(f"{kept} lies in {place}: keep thresholds outside of the output")
        partial = Path(os.path.realpath(output.partial))
        for source in (engine.base, *engine.experts):
            folder = Path(os.path.realpath(source.folder))
            if partial in (folder, *folder.parents):
                raise ValueError(f"{source.label} lies in {partial}, where {output.folder} is made")
