"""Where no SLURM cluster can be started for tests, the harness says why."""

from __future__ import annotations

from pathlib import Path

import machine
import pytest
from conftest import ROOT
from machine import CannotStart, check


@pytest.fixture(autouse=True)
def suitable_machine(monkeypatch, tmp_path):
    """A machine on which a cluster can be started; each test removes one requirement."""
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(machine, "COMPILED_IN", tmp_path / "slurm.conf")
    monkeypatch.setattr(machine, "DEBIAN", ROOT / "pyproject.toml")


def test_a_suitable_machine_is_accepted(tmp_path):
    check(Path("/tmp/cluster"))
    # A dangling link of an interrupted cluster is replaced.
    (tmp_path / "slurm.conf").symlink_to(tmp_path / "gone" / "slurm.conf")
    check(Path("/tmp/cluster"))


def test_root_is_needed(monkeypatch):
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    with pytest.raises(CannotStart, match="needs root"):
        check(Path("/tmp/cluster"))


def test_debian_is_needed(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    with pytest.raises(CannotStart, match="Debian's packages"):
        check(Path("/tmp/cluster"))


def test_a_folder_with_a_long_name_is_refused():
    with pytest.raises(CannotStart, match="longer than 60 characters"):
        check(Path("/tmp") / ("x" * 60))


def test_another_slurm_on_this_machine_is_not_touched(tmp_path):
    (tmp_path / "slurm.conf").write_text("ClusterName=real\n")
    with pytest.raises(CannotStart, match="another SLURM"):
        check(Path("/tmp/cluster"))
