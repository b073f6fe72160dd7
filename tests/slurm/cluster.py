"""A SLURM cluster on this machine, for tests: fake nodes on loopback, fake GPUs, no systemd.

    python tests/slurm/cluster.py start FOLDER     install missing Debian packages, start daemons
    python tests/slurm/cluster.py stop FOLDER      stop the daemons of FOLDER; may be repeated

Partition `cpu` has the nodes cpu1, cpu2 and cpu3, partition `gpu` the node gpu1 with three GPUs
(two a100, one t4) that only SLURM can see; the account is `lab`. Everything is under FOLDER except
one link, /etc/slurm/slurm.conf, which a job's inner srun reads, since it loses SLURM_CONF.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from machine import (
    COMPILED_IN,
    CannotStart,
    alive,
    check,
    install,
    kill_jobs_of,
    program,
    until,
)
from settings import CGROUP, CPUS, DATABASE, GPUS, PORT, cgroup_lines, slurm_conf, slurmdbd_conf

NODES = tuple(CPUS)
ACCOUNT = "lab"


class Cluster:
    """A cluster whose configuration, state, logs and pids lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.conf = self.folder / "slurm.conf"
        self.socket = self.folder / "run" / "munge.socket"
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}

    # -- the whole cluster

    def start(self) -> None:
        """Start every daemon that is not running; returns when all nodes accept jobs."""
        check(self.folder)
        install()
        for name in ("run", "log", "state", "dev", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._configure()
        self._start_munge()
        self._start_database()
        self.start_slurmdbd()
        self._accounts()
        self.start_slurmctld()
        for node in NODES:
            self.start_slurmd(node)
        self.wait_until_idle()

    def stop(self) -> None:
        """Cancel all jobs and stop every running daemon."""
        if self._running("slurmctld"):
            self.run("scancel", "--user=root", check=False)
            until(lambda: not self.run("squeue", "-h", check=False), seconds=20)
        for node in NODES:
            self.kill(f"slurmd.{node}", signal.SIGTERM)
        for name in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
            self.kill(name, signal.SIGTERM)
        if COMPILED_IN.is_symlink() and COMPILED_IN.readlink() == self.conf:
            COMPILED_IN.unlink()

    def wait_until_idle(self) -> None:
        """Wait until every node accepts jobs; nodes that SLURM drained are resumed."""

        def idle() -> bool:
            states = self.run("sinfo", "-h", "-N", "-o", "%N %t", check=False).splitlines()
            away = [line.split()[0] for line in states if line.split()[1] not in ("idle", "mix")]
            for node in away:
                self.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
            return len(states) >= len(NODES) and not away

        self._expect(idle, "the nodes do not become idle", seconds=90, pause=1)

    # -- single daemons, for tests that stop them

    def start_slurmctld(self) -> None:
        """Start the controller and wait until it responds."""
        if not self._running("slurmctld"):
            self._call("slurmctld", "-f", str(self.conf))
        self._expect(
            lambda: "is UP" in self.run("scontrol", "ping", check=False),
            "slurmctld does not respond",
        )

    def wait_until_saved(self) -> None:
        """Wait until slurmctld has saved its current state, which then survives a SIGKILL.

        It saves some seconds after a change, so a job is submitted and canceled; twice, since the
        first save may have begun before.
        """
        state = self.folder / "state" / "job_state"
        for _ in range(2):
            begun = time.time()
            words = ("--hold", f"--account={ACCOUNT}", "--output=/dev/null", "--wrap=true")
            number = self.run("sbatch", "--parsable", *words).strip()
            self.run("scancel", number)
            self._expect(
                lambda begun=begun: state.is_file() and state.stat().st_mtime > begun,
                "slurmctld does not save its state",
            )

    def start_slurmdbd(self) -> None:
        """Start the accounting daemon and wait until it responds."""
        if not self._running("slurmdbd"):
            self._call("slurmdbd")
        self._expect(
            lambda: self._try("sacctmgr", "-n", "list", "cluster"), "slurmdbd does not respond"
        )

    def start_slurmd(self, node: str) -> None:
        """Start the daemon of a node."""
        if not self._running(f"slurmd.{node}"):
            self._call("slurmd", "-N", node, "-f", str(self.conf))

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a daemon (`slurmctld`, `slurmd.cpu1`, ...) and wait for its end."""
        if pid := self._running(name):
            os.kill(pid, how)
            if not until(lambda: not alive(pid), seconds=15):
                os.kill(pid, signal.SIGKILL)
                until(lambda: not alive(pid), seconds=5)
        (self.folder / "run" / f"{name}.pid").unlink(missing_ok=True)

    def crash_node(self, node: str) -> None:
        """Simulate a power failure of a node: kill its daemon and every process of its jobs."""
        self.kill(f"slurmd.{node}")
        kill_jobs_of(node)

    # -- queries

    def run(self, *command: str, check: bool = True) -> str:
        """The output of a SLURM command; empty if it fails and `check` is false."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=120
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout if done.returncode == 0 else ""

    def jobs(self, folder: Path) -> list[dict[str, str]]:
        """Pending and running jobs of a working directory: id, state, node, comment."""
        lines = self.run("squeue", "-h", "-o", "%A|%T|%N|%Z|%k", check=False).splitlines()
        names = ("id", "state", "node", "folder", "comment")
        found = [dict(zip(names, line.split("|", 4), strict=True)) for line in lines]
        return [job for job in found if job["folder"] == str(folder)]

    def _try(self, *command: str) -> bool:
        done = subprocess.run(command, env=self.environment, capture_output=True, timeout=60)
        return done.returncode == 0

    # -- setup

    def _configure(self) -> None:
        for number in range(sum(GPUS.values())):
            device = self.folder / "dev" / f"gpu{number}"
            if not device.exists():
                # A major number for local use: a device that cannot be opened.
                os.mknod(device, 0o600 | 0o020000, os.makedev(240, number))
        host = socket.gethostname().partition(".")[0]
        files = {
            "slurm.conf": slurm_conf(self.folder, host, self.socket),
            "cgroup.conf": CGROUP if cgroup_lines()[1] else "",
            "gres.conf": self._gres(),
            "slurmdbd.conf": slurmdbd_conf(self.folder, host, self.socket),
            "my.cnf": DATABASE.format(folder=self.folder, port=PORT + 2),
        }
        for name, text in files.items():
            (self.folder / name).unlink(missing_ok=True)
            if text:
                (self.folder / name).write_text(text)
                (self.folder / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)
        COMPILED_IN.parent.mkdir(exist_ok=True)
        COMPILED_IN.unlink(missing_ok=True)
        COMPILED_IN.symlink_to(self.conf)

    def _gres(self) -> str:
        models = [model for model, count in GPUS.items() for _ in range(count)]
        lines = [
            f"NodeName=gpu1 Name=gpu Type={model} File={self.folder}/dev/gpu{number}"
            for number, model in enumerate(models)
        ]
        return "\n".join(["AutoDetect=off", *lines, ""])

    def _start_munge(self) -> None:
        key = self.folder / "run" / "munge.key"
        if not key.is_file():
            key.write_bytes(os.urandom(1024))
            key.chmod(0o600)
        if not self._running("munged"):
            self.socket.unlink(missing_ok=True)
            self._call(
                *("munged", "--force", f"--key-file={key}", f"--socket={self.socket}"),
                f"--pid-file={self.folder}/run/munged.pid",
                f"--log-file={self.folder}/log/munged.log",
                f"--seed-file={self.folder}/run/munged.seed",
            )

    def _start_database(self) -> None:
        data = self.folder / "mysql"
        if not (data / "mysql").is_dir():
            shutil.rmtree(data, ignore_errors=True)
            self._call(
                *("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}"),
                *("--auth-root-authentication-method=socket", "--skip-test-db"),
            )
        if not self._running("mariadbd"):
            with (self.folder / "log" / "mariadbd.out").open("w") as log:
                subprocess.Popen(
                    ["mariadbd", f"--defaults-file={self.folder}/my.cnf"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        sql = ["mariadb", "--no-defaults", "-S", f"{self.folder}/run/mysql.sock", "-e"]
        self._expect(lambda: self._try(*sql, "select 1"), "mariadbd does not respond")
        for statement in (
            "create database if not exists slurm",
            "create user if not exists 'slurm'@'127.0.0.1' identified by 'slurm'",
            "create user if not exists 'slurm'@'localhost' identified by 'slurm'",
            "grant all on slurm.* to 'slurm'@'127.0.0.1'",
            "grant all on slurm.* to 'slurm'@'localhost'",
        ):
            self._call(*sql, statement)

    def _accounts(self) -> None:
        for words in (
            ("cluster", ACCOUNT),
            ("account", ACCOUNT, "Description=tests", "Organization=tests"),
            ("user", "root", f"account={ACCOUNT}"),
        ):
            # Prints "Nothing new added" and fails if it exists already.
            self._try("sacctmgr", "--immediate", "--quiet", "add", *words)

    def _call(self, *command: str) -> None:
        log = self.folder / "log" / f"{Path(command[0]).name}.start.log"
        with log.open("a") as stream:
            done = subprocess.run(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        if done.returncode:
            raise RuntimeError(f"{command[0]} did not start; its output is in {log}")

    def _running(self, name: str) -> int | None:
        """The pid of a daemon, if it is running."""
        try:
            pid = int((self.folder / "run" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if program(pid).startswith(name.partition(".")[0]) else None

    def _expect(
        self, reached: Callable[[], object], else_: str, seconds: float = 60, pause: float = 0.2
    ) -> None:
        if not until(reached, seconds, pause):
            raise RuntimeError(f"{else_}; the logs are in {self.folder}/log")


def main(arguments: list[str]) -> int:
    """Run `start FOLDER` or `stop FOLDER`; returns the exit status."""
    if len(arguments) != 2 or arguments[0] not in ("start", "stop"):
        print(__doc__, file=sys.stderr)
        return 2
    cluster = Cluster(Path(arguments[1]))
    try:
        cluster.start() if arguments[0] == "start" else cluster.stop()
    except (CannotStart, RuntimeError, OSError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    if arguments[0] == "start":
        print(cluster.run("sinfo", "-N", "-o", "%N %P %t %c %m %G"), end="")
        print(f"export SLURM_CONF={cluster.conf}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
