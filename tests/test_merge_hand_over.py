"""Large outputs on their way to the disk while a merge goes on: the same bytes, whole pages."""

import mmap
import os
import threading

import pytest
from test_merge_engine import contents, folders, of, wanted  # noqa: F401

from mergescale.merging.streaming import hand_over, pieces
from mergescale.merging.streaming.merge_folders import merge_models

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no such advice here")


@pytest.fixture
def eager(monkeypatch):
    """Every output is large, pieces are the smallest, and what is handed over is told at once."""
    monkeypatch.setattr(hand_over, "LARGE", 0)
    monkeypatch.setattr(hand_over, "_SECONDS_BETWEEN", 0.0001)
    monkeypatch.setattr(pieces, "WORKING_BYTES", {"cpu": 0})


def test_what_is_handed_over_are_whole_pages_of_what_is_written(
    folders,  # noqa: F811
    tmp_path,
    monkeypatch,
    eager,
):
    advise, told = os.posix_fadvise, []

    def advised(descriptor, start, length, advice):
        told.append((os.fstat(descriptor).st_size, start, length, advice))
        advise(descriptor, start, length, advice)

    whole = wanted(tmp_path / "whole", "ties", shard_bytes=10_000_000)
    merge_models(folders["base"], of(folders, whole), [whole], threads=2)
    monkeypatch.setattr(os, "posix_fadvise", advised)
    shards = wanted(tmp_path / "shards", "ties", shard_bytes=100)
    merge_models(folders["base"], of(folders, shards), [shards], threads=2)
    assert contents(shards.folder) == contents(whole.folder)
    assert told and {(start, advice) for _, start, _, advice in told} == {
        (0, os.POSIX_FADV_DONTNEED)
    }
    # A file that is through is handed over whole, which length 0 stands for.
    assert all(length % mmap.PAGESIZE == 0 and length <= size for size, _, length, _ in told)
    assert {0} < {length for _, _, length, _ in told}


def test_systems_without_the_advice_write_the_same(folders, tmp_path, monkeypatch, eager):  # noqa: F811
    merges = [wanted(tmp_path / name, "averaging") for name in ("with", "without")]
    merge_models(folders["base"], of(folders, merges[0]), merges[:1])
    monkeypatch.delattr(os, "posix_fadvise")
    merge_models(folders["base"], of(folders, merges[1]), merges[1:])
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
        written_to(pieces.Piece("w", 0, 1))
        disk.begun.wait()
    assert not disk.ended  # still at it
    disk.free.set()
    waited = SlowDisk()
    with hand_over.handing_over([waited], wait=True) as written_to:
        written_to(pieces.Piece("w", 0, 1))
        waited.begun.wait()
        threading.Timer(0.05, waited.free.set).start()
    assert waited.ended == [True]
