"""What the tests' cluster needs of this machine: packages, root, and process control."""

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
MAX_FOLDER_LENGTH = 60


class CannotStart(Exception):
    """No cluster can be started on this machine; the text says why."""


def check(folder: Path) -> None:
    """Raise CannotStart if this machine or `folder` does not allow a cluster."""
    if os.geteuid() != 0:
        raise CannotStart("a SLURM cluster needs root, to start its daemons and fake GPUs")
    if not shutil.which("apt-get") or not DEBIAN.is_file():
        raise CannotStart("a SLURM cluster needs Debian's packages, and apt-get is missing")
    if len(str(folder)) > MAX_FOLDER_LENGTH:
        raise CannotStart(
            f"{folder} is longer than {MAX_FOLDER_LENGTH} characters; use a shorter path"
        )
    link = COMPILED_IN
    if link.is_symlink() and (not link.exists() or link.resolve() == folder / "slurm.conf"):
        return
    if link.exists() or link.is_symlink():
        raise CannotStart(f"another SLURM is set up on this machine: {link} exists")


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
    created = not policy.exists()
    if created:
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
        if created:
            policy.unlink()


def until(reached: Callable[[], object], seconds: float, pause: float = 0.2) -> bool:
    """Wait until `reached()` is true; returns whether it was in time."""
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
    """Whether a process exists and has not ended."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def kill_jobs_of(node: str) -> None:
    """Send SIGKILL to everything on a node; slurmstepds first, so that they cannot report it."""
    running = [one for one in psutil.process_iter() if _node(one) == node]
    above = {one.ppid() for one in running}
    steps = [psutil.Process(pid) for pid in above if program(pid) == "slurmstepd"]
    for process in [*steps, *running]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass


def _node(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SLURMD_NODENAME")
    except psutil.Error:
        return None
