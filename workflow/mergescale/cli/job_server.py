"""A process that has imported everything and forks a child for each job (`job_client`).

    python -m mergescale.cli.job_server LISTENER [MODULE ...]

LISTENER is the number of an inherited listening socket, MODULE what is imported. The server ends
when its standard input is closed, which happens when the run that started it ends, however it ends;
its children end with it. Linux only. No thread may run and no tensor may be computed before the
forks.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from mergescale.cli.job_client import ACCEPTED, LENGTH_BYTES, REFUSED, VARIABLE, identity

IMPORTS = (
    "mergescale.cli.main",
    "mergescale.evaluation.evaluator",
    "mergescale.evaluation.metrics.bleu",
    "mergescale.evaluation.metrics.rouge_l",
    "mergescale.evaluation.score_files",
    "mergescale.figures.style",
    "mergescale.merging.in_memory",
    "mergescale.models.from_scratch",
    "mergescale.stages.merge_scores",
    "mergescale.tasks.micro_world.evaluation",
    "mergescale.tasks.micro_world.mixture",
    "mergescale.training.training_run",
    "mergescale.training.optimizers.adafactor",
    "seaborn",
    "transformers.models.llama.modeling_llama",
)
"""What the jobs of the default study import."""
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
# Handlers that Python sets itself, or that a parent may have changed.
_DEFAULT_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


def child_name(client: int) -> str:
    """The name of the process that works for a client (at most 15 bytes)."""
    return f"job-of-{client}"


def main() -> NoReturn:
    """Import, then serve until standard input is closed."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the jobs
    gc.disable()
    for name in sys.argv[2:]:
        import_module(name)
    # The children share these objects' memory as long as nobody writes to it.
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000)
    _Server(listener).serve()


class _Server:
    """The listening socket, and the children with the clients that wait for them."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(0, selectors.EVENT_READ, self._stop)
        self._clients: dict[int, socket.socket] = {}

    def serve(self) -> NoReturn:
        """Handle events for ever."""
        while True:
            for key, _ in self._selector.select():
                # An event before it may have ended this one.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()

    def _stop(self) -> None:
        for process in self._clients:
            _kill(process)
        os._exit(0)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        try:
            request, streams = _receive(connection)
        except (OSError, ValueError):  # the client was killed meanwhile
            connection.close()
            return
        if request["identity"] != identity():
            connection.sendall(REFUSED)
            process = None
        elif not (process := os.fork()):
            connection.close()  # it tells the client, by its end, that the server ended
            self._become_job(request, streams)
        for stream in streams:
            os.close(stream)
        if process is None:
            connection.close()
            return
        exit_watch = os.pidfd_open(process)
        self._clients[process] = connection
        with suppress(OSError):
            connection.sendall(ACCEPTED + f"{process}\n".encode())
        self._selector.register(
            connection, selectors.EVENT_READ, lambda: self._client_left(process)
        )
        self._selector.register(
            exit_watch, selectors.EVENT_READ, lambda: self._child_ended(process, exit_watch)
        )

    def _client_left(self, process: int) -> None:
        """A client that closes its connection was killed."""
        self._selector.unregister(self._clients[process])
        _kill(process)

    def _child_ended(self, process: int, exit_watch: int) -> None:
        self._selector.unregister(exit_watch)
        os.close(exit_watch)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        connection = self._clients.pop(process)
        with suppress(KeyError):  # unregistered when the client left
            self._selector.unregister(connection)
        with suppress(OSError):
            connection.sendall(f"{status}\n".encode())
        connection.close()

    def _become_job(self, request: dict[str, Any], streams: list[int]) -> NoReturn:
        """In the child: run the command, in the place of the client."""
        try:
            for client in self._clients.values():
                client.close()
            self._listener.close()
            self._selector.close()
            _isolate(request["client"])
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            _open_streams()
            os.environ.clear()
            os.environ.update(request["environment"])
            os.environ.pop(VARIABLE)
            os.chdir(request["folder"])
            sys.argv = ["mergescale", *request["words"]]
            from mergescale.cli.entry import run

            run()
        except SystemExit as end:  # a wrong command line, or --help
            sys.stdout.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The request of a client, and the descriptors of its standard streams."""
    head, streams, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 3)
    content = bytearray()
    while head and len(content) < int.from_bytes(head, "big"):
        part = connection.recv(1 << 16)
        if not part:
            break
        content += part
    if len(content) != int.from_bytes(head, "big") or len(streams) != 3:
        for stream in streams:
            os.close(stream)
        raise ValueError("the request is incomplete")
    return json.loads(content.decode("utf-8", "surrogateescape")), list(streams)


def _open_streams() -> None:
    """Open Python's standard streams anew: a file and a pipe are written in different ways."""
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(
            number,
            mode,
            encoding="utf-8",
            errors="backslashreplace" if mode == "w" else "surrogateescape",
            closefd=False,
        )
        if mode == "w":
            stream.reconfigure(line_buffering=number == 2 or stream.isatty())
        setattr(sys, name, stream)


def _isolate(client: int) -> None:
    """Give the child a process group and a name of its own, and have it end with the server."""
    os.setpgid(0, 0)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NAME, child_name(client).encode())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _DEFAULT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _kill(process: int) -> None:
    """Kill a child with the processes that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    with suppress(ProcessLookupError):  # before it has a group of its own
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
