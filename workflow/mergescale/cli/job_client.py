"""Hands a command to the job server of a study's run, so that its imports need not be repeated.

Snakemake starts a process for each job, and importing torch and transformers takes a process
several seconds, more than many jobs of a small study take to do their work. A run on one machine
therefore has one process that has imported everything (`job_server`), which forks a child for each
job. The process that Snakemake started waits for the child; to Snakemake it behaves as the job
itself: the same output, exit status and signals, and if it is killed, the child is killed too.

Standard library only, since every command imports this module.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import mergescale

VARIABLE = "MERGESCALE_JOB_SERVER"
"""Environment variable with the path of the server's socket."""
LENGTH_BYTES = 8
"""A request is its length in this many bytes (with the standard streams), then JSON."""
# The server accepts the job, or has other code than this process.
ACCEPTED, REFUSED = b"a", b"r"
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run_on_server(words: Sequence[str]) -> int | None:
    """Run a command on the job server, if there is one.

    Args:
        words: the command line after `mergescale`.

    Returns:
        The exit status of the command; None if it did not start, since there is no server or its
        Python or library is another one.
    """
    path = os.environ.get(VARIABLE)
    # Processes of torchrun have to be children of their launcher.
    if not path or "TORCHELASTIC_RUN_ID" in os.environ:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError:
            return None
        return _run(connection, words)


def identity() -> list[str]:
    """What the processes of client and server must have in common: Python and library."""
    return [sys.executable, mergescale.__file__]


def _run(connection: socket.socket, words: Sequence[str]) -> int | None:
    child = _Child()
    before = {number: signal.signal(number, child.forward) for number in _FORWARDED}
    try:
        _send_request(connection, words)
        answer = connection.recv(1)
        if answer != ACCEPTED:
            return None
        with connection.makefile("r") as replies:
            child.found(int(replies.readline()))
            status = replies.readline()
    except OSError:
        status = ""
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not status:
        print("mergescale: error: the job server ended; run Snakemake again", file=sys.stderr)
        return 1
    if int(status) < 0:  # a signal ended the child: end in the same way
        if -int(status) != signal.SIGKILL:  # it cannot have a handler
            signal.signal(-int(status), signal.SIG_DFL)
        os.kill(os.getpid(), -int(status))
    return int(status)


def _send_request(connection: socket.socket, words: Sequence[str]) -> None:
    request = {
        "identity": identity(),
        "words": list(words),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "client": os.getpid(),
    }
    content = json.dumps(request).encode("utf-8", "surrogateescape")
    socket.send_fds(connection, [len(content).to_bytes(LENGTH_BYTES, "big")], [0, 1, 2])
    connection.sendall(content)


class _Child:
    """The process of the job, which gets this process's signals; also those that came too early."""

    def __init__(self) -> None:
        self._process: int | None = None
        self._early: list[int] = []

    def found(self, process: int) -> None:
        """Send the signals that came before the process existed."""
        self._process = process
        for number in self._early:
            self.forward(number, None)

    def forward(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if self._process is None:
            self._early.append(number)
            return
        try:
            os.kill(self._process, number)
        except ProcessLookupError:
            pass  # it has just ended, and its status is on the way
