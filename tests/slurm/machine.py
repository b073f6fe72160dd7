"""What the tests' cluster asks of this machine: packages, root, and its processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PACKAGES = (
    *("slurmctld", "slurmd", "slurm-client", "munge"),
    *("slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server-core", "mariadb-client-core"),
)
COMPILED_IN = Path("/etc/slurm/slurm.conf")
DEBIAN = Path("/etc/debian_version")
# Unix sockets have at most 108 bytes of path.
LONGEST_FOLDER = 60


class CannotStart(Exception):
    """Why no cluster can be started on this machine, in one sentence."""


def check(folder: Path) -> None:
    """Raise CannotStart where this machine, or `folder`, allows no cluster."""
    if os.geteuid() != 0:
        raise CannotStart("a SLURM cluster needs root, to start its daemons and fake GPUs")
    if not shutil.which("apt-get") or not DEBIAN.is_file():
        raise CannotStart("a SLURM cluster needs Debian's packages, and here is no apt-get")
    if len(str(folder)) > LONGEST_FOLDER:
        raise CannotStart(
            f"{folder} is longer than {LONGEST_FOLDER} characters: take a shorter one"
        )
    link = COMPILED_IN
    if link.is_symlink() and (not link.exists() or link.resolve() == folder / "slurm.conf"):
        return
    if link.exists() or link.is_symlink():
        raise CannotStart(f"another SLURM is set up on this machine: {link} is there")


def install() -> None:
    """Install the packages that are missing; their own services stay off."""
    status = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *PACKAGES],
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    missing = [name for name in PACKAGES if f"{name} installed" not in status]
    if not missing:
        return
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            run = subprocess.run(
                ["apt-get", "--quiet", *command], env=environment, capture_output=True, text=True
            )
            if run.returncode:
                last = (run.stderr.strip() or run.stdout.strip()).splitlines()[-1:]
                raise CannotStart(f"apt-get {command[0]} failed: {' '.join(last)}")
    finally:
        if ours:
            policy.unlink()


def until(reached: Callable[[], object], seconds: float, pause: float = 0.2) -> bool:
    """Wait until `reached()`; whether it came to that in time."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def program(pid: int) -> str:
    """The name of a process, cut at 15 characters; empty without one."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def kill_jobs_of(node: str) -> None:
    """SIGKILL to everything that runs on a node; slurmstepds first, lest they report the rest."""
    at_work = [one for one in psutil.process_iter() if _node(one) == node]
    above = {one.ppid() for one in at_work}
    steps = [psutil.Process(pid) for pid in above if program(pid) == "slurmstepd"]
    for process in [*steps, *at_work]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass


def _node(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SLURMD_NODENAME")
    except psutil.Error:
        return None
