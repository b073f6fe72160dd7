"""Merges model folders into new ones: opens and checks them, runs the engine, finishes outputs."""

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
from mergescale.merging.engine.engine import Engine, largest_tensor
from mergescale.merging.engine.estimate import estimate_io
from mergescale.merging.engine.journal import Journal
from mergescale.merging.engine.memory import keep_freed_memory, max_threads, working_memory
from mergescale.merging.engine.merge_spec import Merge, statistics_files
from mergescale.merging.engine.record import build_plan, build_record, model_card, plan_digest
from mergescale.merging.ops.kernels.loading import load_kernels, worth_compiling
from mergescale.provenance.digests import record_digest


@dataclass(frozen=True)
class MergeResult:
    """A finished merge.

    Attributes:
        folder: The merged model.
        record: The content of merge.json.
        existed: Whether it was there before.
    """

    folder: Path
    record: Mapping[str, Any]
    existed: bool


def run_merges(
    base: str | Path,
    experts: Mapping[str, str | Path],
    merges: Sequence[Merge],
    *,
    threads: int | None = 1,
    memory_limit: int | None = None,
    device: str = "cpu",
    cache_dir: Path | None = None,
    tokenizers: str = "same",
    sync: bool = True,
    on_progress: Callable[[int], None] = lambda count: None,
    on_skipped: Callable[[int], None] = lambda count: None,
) -> list[MergeResult]:
    """Make several merges of one base and its experts in one pass over their files.

    A merge that exists already is skipped, an interrupted one resumes. Nothing appears under its
    final name before it is complete, and a merge that fails leaves nothing behind.

    Args:
        base: Folder of the base.
        experts: {name: folder}.
        merges: The merges.
        threads: Blocks in progress at the same time; None for as many as there are cores and as
            memory allows.
        memory_limit: Bytes of anonymous memory of this process, with what it uses already; None
            for as many as is fast.
        device: Where methods compute.
        cache_dir: Folder where thresholds are cached for later merges of these experts.
        tokenizers: "same" refuses experts whose tokenizer differs from the base's; "ignore" merges
            them.
        sync: Wait until an output is on the disk before it gets its name. Without this, a power
            loss within about a minute can damage it; killing the process never does.
        on_progress: Called with the bytes read and written in each step.
        on_skipped: Called with the bytes of `estimate_io` that need not be read or written.

    Raises:
        ValueError: Inputs cannot be merged.
        FileExistsError: An output folder has something else.
        OSError: An output cannot be written.
    """
    import torch

    threads_before = torch.get_num_threads()
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(CheckpointReader.open(folder, f"{name} ({folder})"))
            for name, folder in sorted(experts.items())
        }
        base_reader = stack.enter_context(CheckpointReader.open(base, f"the base ({base})"))
        for name, reader in readers.items():
            if reader.folder.samefile(base_reader.folder):
                raise ValueError(f"expert {name} is the base itself: {base}")
        folders = {name: reader.folder for name, reader in readers.items()}
        check_tokenizers(base_reader.folder, folders, tokenizers)
        files = {
            key: stack.enter_context(CheckpointReader.open_file(file, f"{key[0]}: {file}"))
            for key, file in statistics_files(merges).items()
        }
        for merge in merges:
            merge.check_tensors(base_reader.floating_tensors())
        new = [merge for merge in merges if not exists_nonempty(merge.folder)]
        compiled = device == "cpu" and worth_compiling(
            estimate_io(base_reader, readers, new, files).read
        )
        if compiled:
            load_kernels()  # before memory is measured, since it takes some
        whole_tensors = any(merge.whole_tensors for merge in merges)
        more = {
            "statistics_files": len(files),
            "whole_tensor": largest_tensor(base_reader) if whole_tensors else 0,
        }
        if threads is None:
            threads = usable_cores()
            if memory_limit:
                threads = max_threads(memory_limit, len(readers), threads, **more)
        memory = (
            None if memory_limit is None else working_memory(memory_limit, len(readers), threads)
        )
        engine = Engine(
            base_reader,
            readers,
            threads=threads,
            memory=memory,
            device=device,
            compiled=compiled,
            statistics_files=files,
            whole_tensors=whole_tensors,
        )
        results: dict[int, MergeResult] = {}
        for number, merge in enumerate(merges):
            if existing := _existing_merge(merge, engine):
                results[number] = existing
        todo = [merge for number, merge in enumerate(merges) if number not in results]
        needed = estimate_io(base_reader, readers, todo, files).moved if todo else 0
        on_skipped(estimate_io(base_reader, readers, merges, files).moved - needed)
        if todo:
            torch.set_num_threads(1)  # the engine's own threads each take a block
            keep_freed_memory()
            try:
                made = iter(
                    _stream(engine, todo, cache_dir, tokenizers, sync, on_progress, on_skipped)
                )
                results |= {n: next(made) for n in range(len(merges)) if n not in results}
            finally:
                torch.set_num_threads(threads_before)
        return [results[number] for number in range(len(merges))]


def _stream(
    engine: Engine,
    merges: Sequence[Merge],
    cache_dir: Path | None,
    tokenizers: str,
    sync: bool,
    on_progress: Callable[[int], None],
    on_skipped: Callable[[int], None],
) -> list[MergeResult]:
    """Make merges that do not exist yet."""
    reader = engine.reader

    def plan_of_all() -> str:
        return record_digest([reader.block_elements, *(build_plan(m, engine) for m in merges)])

    plan = plan_of_all()
    outputs = [_output(merge, engine) for merge in merges]
    _check_no_overlap(outputs, engine, cache_dir)
    with _cleanup_on_error(outputs):
        for output in outputs:  # before anything is read: from here on nobody else changes it
            output.lock()
        journal = Journal(outputs[0].partial / "journal.json", plan, sync)
        if not all(output.resumable for output in outputs):
            journal.reset()
        for output in outputs:
            output.start(resume=journal.done > 0)
        read = 0

        def count_read(count: int) -> None:
            nonlocal read
            read += count
            on_progress(count)

        statistics = engine.statistics(merges, cache_dir, count_read)
        experts = dict(zip(reader.names, reader.experts, strict=True))
        estimate = estimate_io(reader.base, experts, merges, reader.statistics_files)
        on_skipped(estimate.statistics - read)
        tally = engine.run(merges, outputs, statistics, journal, on_progress, on_skipped)
        if plan_of_all() != plan:
            raise ValueError("a model's files changed while they were merged: merge again")
        records = [
            build_record(engine, merges, number, tally, statistics) | {"tokenizers": tokenizers}
            for number in range(len(merges))
        ]
        for output, merge, record in zip(outputs, merges, records, strict=True):
            output.finish(record, model_card(merge, record), sync)
    return [
        MergeResult(output.folder, record, existed=False)
        for output, record in zip(outputs, records, strict=True)
    ]


@contextmanager
def _cleanup_on_error(outputs: Sequence[CheckpointWriter]) -> Iterator[None]:
    """Remove outputs that failed, keep those that were interrupted."""
    try:
        yield
    except BlockingIOError:
        for output in reversed(outputs):  # another process has one of them
            output.release()
        raise
    except KeyboardInterrupt:
        for output in outputs:  # the next call resumes
            output.close()
        raise
    except BaseException:
        for output in reversed(outputs):  # the first one created their common parent
            output.discard()
        raise


def exists_nonempty(folder: Path) -> bool:
    """Whether a path exists and is not an empty directory."""
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def _existing_merge(merge: Merge, engine: Engine) -> MergeResult | None:
    """The folder that is this merge already; FileExistsError for one that is something else."""
    folder = merge.folder
    if folder.name in ("", ".."):
        raise ValueError(f"{folder} cannot be the name of a new folder")
    if not folder.is_symlink() and not exists_nonempty(folder):
        return None
    try:
        record = json.loads((folder / "merge.json").read_text(encoding="utf-8"))
        complete = _output(merge, engine).finished and "rounded_away_fraction" in record
        if complete and record["plan"] == plan_digest(merge, engine):
            return MergeResult(folder, record, existed=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise FileExistsError(
        f"{folder} already exists but has a different or incomplete merge: delete it to rerun"
    )


def _output(merge: Merge, engine: Engine) -> CheckpointWriter:
    masks = tuple(merge.method.masks(merge.experts)) if merge.method.masks else ()
    base = engine.reader.base
    return CheckpointWriter(merge.folder, base, merge.dtype, merge.shard_bytes, masks)


def _check_no_overlap(
    outputs: Sequence[CheckpointWriter], engine: Engine, cache_dir: Path | None
) -> None:
    """Raises ValueError for an input in a hidden folder, which would be emptied.

    Also for a cache inside an output, which would exist before the output does.
    """
    for output in outputs:
        for folder in (output.folder, output.partial) if cache_dir else ():
            if Path(os.path.realpath(cache_dir)).is_relative_to(os.path.realpath(folder)):
                raise ValueError(
                    f"--cache-dir {cache_dir} is in {folder}: it must be outside of the output"
                )
        partial = Path(os.path.realpath(output.partial))
        for model in (*engine.models, *engine.reader.statistics_files.values()):
            folder = Path(os.path.realpath(model.folder))
            if partial in (folder, *folder.parents):
                raise ValueError(f"{model.label} is in {partial}, where {output.folder} is made")
