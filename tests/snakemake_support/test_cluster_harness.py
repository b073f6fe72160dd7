"""Where no SLURM cluster can be started for tests, the harness says why in one sentence."""

from __future__ import annotations

from pathlib import Path

import machine
import pytest
from conftest import ROOT
from machine import CannotStart, check


@pytest.fixture(autouse=True)
def able(monkeypatch, tmp_path):
    """A machine on which a cluster can be started; each test takes one thing away."""
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(machine, "COMPILED_IN", tmp_path / "slurm.conf")
    monkeypatch.setattr(machine, "DEBIAN", ROOT / "pyproject.toml")


def test_an_able_machine_is_accepted(tmp_path):
    check(Path("/tmp/cluster"))
    # A link that an interrupted cluster left behind is no obstacle.
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


def test_another_slurm_of_this_machine_is_left_alone(tmp_path):
    (tmp_path / "slurm.conf").write_text("ClusterName=real\n")
    with pytest.raises(CannotStart, match="another SLURM"):
        check(Path("/tmp/cluster"))
