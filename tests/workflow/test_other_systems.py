"""What Linux alone has is not needed: without it a merge writes the same bytes, as on macOS."""

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
from mergescale.cli.main import main, parser
from mergescale.cores import usable_cores
from mergescale.merging.engine import journal
from mergescale.merging.engine.memory import anonymous_memory

pytest_plugins = "merge_inputs"


@pytest.fixture
def linux_taken_away(monkeypatch):
    """Takes away the calls that macOS lacks, and /proc; to be called."""
    read = Path.read_text

    def told(path, *arguments, **settings):
        if path.is_relative_to("/proc"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return read(path, *arguments, **settings)

    def take_away():
        for name in ("posix_fallocate", "posix_fadvise", "fdatasync", "sched_getaffinity"):
            monkeypatch.delattr(os, name, raising=False)
        monkeypatch.setattr(Path, "read_text", told)

    return take_away


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the drive itself, as (inode, command), by macOS's name for it."""
    calls = []

    def control(descriptor, command):
        calls.append((os.fstat(descriptor).st_ino, command))
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    return calls


def test_a_merge_that_reaches_the_disk_has_the_same_bytes(models, linux_taken_away, asked):
    recipe = models / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))

    def merged(name):
        assert (
            main(["merge", str(recipe), str(models / name), "--cache-dir", str(models / "cache")])
            == 0
        )
        return tree(models / name)

    with_linux = merged("one")
    linux_taken_away()
    asked.clear()
    assert merged("other") == with_linux
    files = {file.stat().st_ino for file in (models / "other").iterdir()}
    assert {inode for inode, _ in asked} == files | {
        f.stat().st_ino for f in (models, models / "other")
    }
    assert main(["explain", str(recipe)]) == 0


def test_all_cores_are_taken_where_none_are_given(linux_taken_away, monkeypatch):
    assert usable_cores() <= os.cpu_count()
    linux_taken_away()
    for told, cores in ((7, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda told=told: told)
        assert usable_cores() == cores
        assert parser().parse_args(["evaluate", "model", "--tasks", "rte"]).threads == cores


@pytest.mark.parametrize("linux", [True, False])
def test_room_is_made_before_anything_is_written(tmp_path, linux_taken_away, linux):
    if not linux:
        linux_taken_away()
    with (tmp_path / "file").open("wb") as file:
        disk.reserve(file.fileno(), 100_000)
    assert (tmp_path / "file").read_bytes() == bytes(100_000)


def test_a_drive_that_cannot_be_asked_is_left_to_the_system(
    tmp_path, linux_taken_away, asked, monkeypatch
):
    def refused(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    synced = []
    linux_taken_away()
    monkeypatch.setattr(os, "fsync", synced.append)
    with (tmp_path / "file").open("wb") as file:
        disk.sync_data(file.fileno())
        assert asked == [(os.fstat(file.fileno()).st_ino, 51)] and not synced
        monkeypatch.setattr(fcntl, "fcntl", refused)
        disk.sync_data(file.fileno())
        assert synced == [file.fileno()]
    disk.sync_path(tmp_path)
    assert len(synced) == 2


def test_the_peak_stands_in_for_memory_in_the_systems_own_unit(linux_taken_away, monkeypatch):
    linux_taken_away()
    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "linux")
    assert told * 1024 <= anonymous_memory() < 2 * told * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert told <= anonymous_memory() < 2 * told


def test_without_sync_no_mark_outlives_a_start_that_nobody_tells(tmp_path, linux_taken_away):
    file = tmp_path / "journal.json"
    tally = {"num_updated": [], "num_rounded_away": [], "digests": [], "differs": []}
    mark = {"plan": "p", "boot": "an earlier one", "done": 3, "tally": tally}
    file.write_text(json.dumps(mark))
    linux_taken_away()
    assert journal.boot_id() is None
    assert journal.Journal(file, "p").done == 0
    file.write_text(json.dumps(mark | {"boot": None}))  # one that was synced
    assert journal.Journal(file, "p").done == 3


def test_times_are_told_without_the_age_of_the_process(tmp_path, linux_taken_away, monkeypatch):
    linux_taken_away()
    monkeypatch.setattr(timing, "_spent", {})
    timing.started()
    timing.write(tmp_path / "time.json")
    assert json.loads((tmp_path / "time.json").read_text())["start-up"] > 0
