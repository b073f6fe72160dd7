"""Without the system calls that only Linux has, as on macOS, a merge writes the same bytes."""

import errno
import fcntl
import json
import os
import resource
import sys
from pathlib import Path

import pytest
import yaml
from merge_inputs import EXPERTS, TIES, tree

from mergescale import timing
from mergescale.checkpoints import writeback as disk
from mergescale.cli.main import main, parse
from mergescale.cores import usable_cores
from mergescale.merging.engine import journal
from mergescale.merging.engine.memory import anonymous_memory

pytest_plugins = "merge_inputs"


@pytest.fixture
def without_linux_calls(monkeypatch):
    """A function that removes the system calls that macOS lacks, and /proc."""
    read = Path.read_text

    def read_text(path, *arguments, **settings):
        if path.is_relative_to("/proc"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return read(path, *arguments, **settings)

    def remove_calls():
        for name in ("posix_fallocate", "posix_fadvise", "fdatasync", "sched_getaffinity"):
            monkeypatch.delattr(os, name, raising=False)
        monkeypatch.setattr(Path, "read_text", read_text)

    return remove_calls


@pytest.fixture
def drive_syncs(monkeypatch):
    """Requests to the drive to flush its cache, as (inode, command), by macOS's name for it."""
    calls = []

    def control(descriptor, command):
        calls.append((os.fstat(descriptor).st_ino, command))
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    return calls


def test_a_merge_that_reaches_the_disk_has_the_same_bytes(models, without_linux_calls, drive_syncs):
    recipe = models / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))

    def merged(name):
        assert (
            main(["merge", str(recipe), str(models / name), "--cache-dir", str(models / "cache")])
            == 0
        )
        return tree(models / name)

    with_linux = merged("one")
    without_linux_calls()
    drive_syncs.clear()
    assert merged("other") == with_linux
    files = {file.stat().st_ino for file in (models / "other").iterdir()}
    assert {inode for inode, _ in drive_syncs} == files | {
        f.stat().st_ino for f in (models, models / "other")
    }
    assert main(["explain", str(recipe)]) == 0


def test_all_cores_are_the_default(without_linux_calls, monkeypatch):
    assert usable_cores() <= os.cpu_count()
    without_linux_calls()
    for reported, cores in ((7, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda reported=reported: reported)
        assert usable_cores() == cores
    # Without --threads, `evaluate` takes them.
    assert parse(["evaluate", "model", "--tasks", "rte"])[1].threads is None


@pytest.mark.parametrize("linux", [True, False])
def test_disk_space_is_reserved_before_writing(tmp_path, without_linux_calls, linux):
    if not linux:
        without_linux_calls()
    with (tmp_path / "file").open("wb") as file:
        disk.reserve(file.fileno(), 100_000)
    assert (tmp_path / "file").read_bytes() == bytes(100_000)


def test_fsync_is_used_where_the_drive_cannot_be_flushed(
    tmp_path, without_linux_calls, drive_syncs, monkeypatch
):
    def refused(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    synced = []
    without_linux_calls()
    monkeypatch.setattr(os, "fsync", synced.append)
    with (tmp_path / "file").open("wb") as file:
        disk.sync_data(file.fileno())
        assert drive_syncs == [(os.fstat(file.fileno()).st_ino, 51)] and not synced
        monkeypatch.setattr(fcntl, "fcntl", refused)
        disk.sync_data(file.fileno())
        assert synced == [file.fileno()]
    disk.sync_path(tmp_path)
    assert len(synced) == 2


def test_peak_memory_is_used_in_the_systems_own_unit(without_linux_calls, monkeypatch):
    without_linux_calls()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "linux")
    assert peak * 1024 <= anonymous_memory() < 2 * peak * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak <= anonymous_memory() < 2 * peak


def test_without_sync_a_journal_is_invalid_after_an_unknown_boot(tmp_path, without_linux_calls):
    file = tmp_path / "journal.json"
    tally = {"num_updated": [], "num_rounded_away": [], "digests": [], "differs": []}
    mark = {"plan": "p", "boot": "an earlier one", "done": 3, "tally": tally}
    file.write_text(json.dumps(mark))
    without_linux_calls()
    assert journal.boot_id() is None
    assert journal.Journal(file, "p").done == 0
    file.write_text(json.dumps(mark | {"boot": None}))  # a synced one
    assert journal.Journal(file, "p").done == 3


def test_start_up_is_timed_without_the_age_of_the_process(
    tmp_path, without_linux_calls, monkeypatch
):
    without_linux_calls()
    monkeypatch.setattr(timing, "_spent", {})
    timing.started()
    timing.write(tmp_path / "time.json")
    assert json.loads((tmp_path / "time.json").read_text())["start-up"] > 0
