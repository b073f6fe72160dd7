"""Writeback of large outputs during a merge: the same bytes, whole pages."""

import mmap
import os
import threading

import pytest
from engine_models import contents, folders, of, wanted  # noqa: F401

from mergescale.checkpoints import writeback
from mergescale.checkpoints.blocks import BLOCK, Block
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.writer import CheckpointWriter
from mergescale.merging.engine import memory
from mergescale.merging.engine.run import run_merges

pytestmark = pytest.mark.skipif(
    not hasattr(os, "posix_fadvise"), reason="this system has no posix_fadvise"
)


@pytest.fixture
def eager(monkeypatch):
    """Every output counts as large, blocks are the smallest, and writeback starts at once."""
    monkeypatch.setattr(writeback, "MIN_OUTPUT_BYTES", 0)
    monkeypatch.setattr(writeback, "_SECONDS_BETWEEN", 0.0001)
    monkeypatch.setattr(memory, "WORKING_BYTES", {"cpu": 0})


@pytest.fixture
def advised(monkeypatch):
    """The calls of posix_fadvise: (name of the file, first byte, length, advice)."""
    calls = []

    def advise(descriptor, start, length, advice):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        calls.append((name, start, length, advice))

    monkeypatch.setattr(os, "posix_fadvise", advise)
    return calls


def test_writeback_covers_whole_pages(tmp_path, folders, advised):  # noqa: F811
    base = CheckpointReader.open(folders["base"])
    output = CheckpointWriter(tmp_path / "out", base, "float32", 30_000_000, ("a", "b"))
    output.lock()
    output.start(resume=False)
    last = Block("embed", BLOCK, 2 * BLOCK)
    output.writeback(last, threading.Event())
    output.close()
    weights, masks = output.layout.locations["embed"], output.layout.locations["a.embed"]
    other = output.layout.locations["b.embed"]
    written = (weights[1] + 2 * BLOCK * 4, masks[1] + 2 * BLOCK, other[1] + 2 * BLOCK)
    ends = [stop // mmap.PAGESIZE * mmap.PAGESIZE for stop in written]
    assert [(name, start, start + length) for name, start, length, _ in advised] == [
        ("model.safetensors", 0, ends[0]),
        ("masks.safetensors", masks[1], ends[1]),
        ("masks.safetensors", other[1], ends[2]),
    ]
    assert {advice for *_, advice in advised} == {os.POSIX_FADV_DONTNEED}


def test_writeback_covers_earlier_files_and_no_later_ones(tmp_path, folders, advised):  # noqa: F811
    base = CheckpointReader.open(folders["base"])
    output = CheckpointWriter(tmp_path / "out", base, "float32", 100, ())
    output.lock()
    output.start(resume=False)
    files = [str(file) for file in output.layout.files]
    ended = threading.Event()
    output.writeback(Block("embed", 0, BLOCK), ended)
    before = files[: files.index(str(output.layout.locations["embed"][0]))]
    assert [(name, length) for name, _, length, _ in advised][: len(before)] == [
        (name, 0) for name in before
    ]
    assert len(advised) == len(before) + 1
    ended.set()
    output.writeback(Block("embed", 0, BLOCK), ended)
    assert len(advised) == len(before) + 1
    output.close()


def test_writeback_changes_no_byte(folders, tmp_path, eager):  # noqa: F811
    experts = {name: path for name, path in folders.items() if name != "base"}
    for large, where in ((1 << 60, "without"), (0, "with")):
        writeback.MIN_OUTPUT_BYTES = large
        merges = [wanted(tmp_path / where, name, shard_bytes=100) for name in ("ties", "emr")]
        run_merges(folders["base"], experts, merges, threads=2)
    for name in ("ties", "emr"):
        assert contents(tmp_path / "with" / name) == contents(tmp_path / "without" / name)


def test_systems_without_fadvise_write_the_same_bytes(folders, tmp_path, monkeypatch, eager):  # noqa: F811
    merges = [wanted(tmp_path / name, "averaging") for name in ("with", "without")]
    run_merges(folders["base"], of(folders, merges[0]), merges[:1])
    monkeypatch.delattr(os, "posix_fadvise")
    run_merges(folders["base"], of(folders, merges[1]), merges[1:])
    assert contents(merges[0].folder) == contents(merges[1].folder)


class SlowDisk:
    """An output whose writeback takes until `free` is set."""

    bytes = 1

    def __init__(self):
        self.begun, self.free, self.ended = threading.Event(), threading.Event(), []

    def writeback(self, block, ended):
        self.begun.set()
        self.free.wait()
        self.ended.append(ended.is_set())


def test_a_slow_disk_is_waited_for_only_with_wait(eager):
    disk = SlowDisk()
    with writeback.background_writeback([disk], wait=False) as written_up_to:
        written_up_to(Block("w", 0, 1))
        disk.begun.wait()
    assert not disk.ended  # still at it
    disk.free.set()
    waited = SlowDisk()
    with writeback.background_writeback([waited], wait=True) as written_up_to:
        written_up_to(Block("w", 0, 1))
        waited.begun.wait()
        threading.Timer(0.05, waited.free.set).start()
    assert waited.ended == [True]
