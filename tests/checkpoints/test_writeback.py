"""Large outputs on their way to the disk while a merge goes on: the same bytes, whole pages."""

import mmap
import os
import threading

import pytest
from engine_models import contents, folders, of, wanted  # noqa: F401

from mergescale.checkpoints import background_writeback as hand_over
from mergescale.checkpoints import blocks as pieces
from mergescale.checkpoints.blocks import BLOCK
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.writer import CheckpointWriter
from mergescale.merging.engine.run import run_merges

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no such advice here")


@pytest.fixture
def eager(monkeypatch):
    """Every output is large, pieces are the smallest, and what is handed over is told at once."""
    monkeypatch.setattr(hand_over, "LARGE", 0)
    monkeypatch.setattr(hand_over, "_SECONDS_BETWEEN", 0.0001)
    monkeypatch.setattr(pieces, "WORKING_BYTES", {"cpu": 0})


@pytest.fixture
def advised(monkeypatch):
    """What the system is advised of: (name of the file, first byte, length, advice)."""
    told = []

    def advise(descriptor, start, length, advice):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        told.append((name, start, length, advice))

    monkeypatch.setattr(os, "posix_fadvise", advise)
    return told


def test_whole_pages_of_what_is_written_are_handed_over(tmp_path, folders, advised):  # noqa: F811
    base = CheckpointReader.open(folders["base"])
    output = CheckpointWriter(tmp_path / "out", base, "float32", 30_000_000, ("a", "b"))
    output.lock()
    output.start(anew=True)
    last = pieces.Block("embed", BLOCK, 2 * BLOCK)
    output.hand_over(last, threading.Event())
    output.close()
    weights, masks = output.layout.places["embed"], output.layout.places["a.embed"]
    other = output.layout.places["b.embed"]
    written = (weights[1] + 2 * BLOCK * 4, masks[1] + 2 * BLOCK, other[1] + 2 * BLOCK)
    ends = [stop // mmap.PAGESIZE * mmap.PAGESIZE for stop in written]
    assert [(name, start, start + length) for name, start, length, _ in advised] == [
        ("model.safetensors", 0, ends[0]),
        ("masks.safetensors", masks[1], ends[1]),
        ("masks.safetensors", other[1], ends[2]),
    ]
    assert {advice for *_, advice in advised} == {os.POSIX_FADV_DONTNEED}


def test_earlier_files_are_handed_over_whole_and_later_ones_not(tmp_path, folders, advised):  # noqa: F811
    base = CheckpointReader.open(folders["base"])
    output = CheckpointWriter(tmp_path / "out", base, "float32", 100, ())
    output.lock()
    output.start(anew=True)
    files = [str(file) for file in output.layout.heads]
    ended = threading.Event()
    output.hand_over(pieces.Block("embed", 0, BLOCK), ended)
    before = files[: files.index(str(output.layout.places["embed"][0]))]
    assert [(name, length) for name, _, length, _ in advised][: len(before)] == [
        (name, 0) for name in before
    ]
    assert len(advised) == len(before) + 1
    ended.set()
    output.hand_over(pieces.Block("embed", 0, BLOCK), ended)
    assert len(advised) == len(before) + 1
    output.close()


def test_outputs_that_are_handed_over_have_the_same_bytes(folders, tmp_path, eager):  # noqa: F811
    experts = {name: path for name, path in folders.items() if name != "base"}
    for large, where in ((1 << 60, "without"), (0, "with")):
        hand_over.LARGE = large
        merges = [wanted(tmp_path / where, name, shard_bytes=100) for name in ("ties", "emr")]
        run_merges(folders["base"], experts, merges, threads=2)
    for name in ("ties", "emr"):
        assert contents(tmp_path / "with" / name) == contents(tmp_path / "without" / name)


def test_systems_without_the_advice_write_the_same(folders, tmp_path, monkeypatch, eager):  # noqa: F811
    merges = [wanted(tmp_path / name, "averaging") for name in ("with", "without")]
    run_merges(folders["base"], of(folders, merges[0]), merges[:1])
    monkeypatch.delattr(os, "posix_fadvise")
    run_merges(folders["base"], of(folders, merges[1]), merges[1:])
    assert contents(merges[0].folder) == contents(merges[1].folder)


class SlowDisk:
    """An output of which a hand-over takes until `free` is set."""

    bytes = 1

    def __init__(self):
        self.begun, self.free, self.ended = threading.Event(), threading.Event(), []

    def hand_over(self, piece, ended):
        self.begun.set()
        self.free.wait()
        self.ended.append(ended.is_set())


def test_a_slow_disk_is_waited_for_only_if_asked(eager):
    disk = SlowDisk()
    with hand_over.handing_over([disk], wait=False) as written_to:
        written_to(pieces.Block("w", 0, 1))
        disk.begun.wait()
    assert not disk.ended  # still at it
    disk.free.set()
    waited = SlowDisk()
    with hand_over.handing_over([waited], wait=True) as written_to:
        written_to(pieces.Block("w", 0, 1))
        waited.begun.wait()
        threading.Timer(0.05, waited.free.set).start()
    assert waited.ended == [True]
