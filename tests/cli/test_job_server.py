"""A job on the job server is to its caller what it would be as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mergescale.cli.job_client import VARIABLE
from mergescale.cli.job_server import child_name

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the job server needs Linux")
# A command that reports on its process, writes to both streams and ends as it is told.
COMMAND = """
import json, os, signal, sys, time
from mergescale.cli import entry

def command():
    words = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # as every command does
    about = {"words": words, "folder": os.getcwd(), "variable": os.environ.get("OWN"),
             "server": os.environ.get("MERGESCALE_JOB_SERVER"), "parent": os.getppid()}
    print(json.dumps(about), flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    if words[0] == "wait":
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            os._exit(130)
    if words[0] == "raise":
        raise RuntimeError("a fault of the program")
    sys.exit(int(words[0]))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server without imports, whose jobs run COMMAND in place of `mergescale`'s commands."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "stand_in.py").write_text(COMMAND + "\nentry.run = command\n")
    path = str(folder / "jobs")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    process = subprocess.Popen(
        [sys.executable, "-m", "mergescale.cli.job_server", str(listener.fileno()), "stand_in"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w"),
        pass_fds=[listener.fileno()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        start_new_session=True,
    )
    listener.close()
    yield path, process
    process.kill()
    process.wait()


def start(server, *words, **variables):
    """A client of the server."""
    return subprocess.Popen(
        [sys.executable, "-m", "mergescale", *words],
        env={**os.environ, VARIABLE: server[0], **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def child_of(client):
    """The process that works for a client, when it has begun."""
    about = json.loads(client.stdout.readline())
    (found,) = [
        child
        for child in psutil.Process(about["parent"]).children()
        if child.name() == child_name(client.pid)
    ]
    return found


def test_a_job_has_the_callers_words_folder_variables_and_streams(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = start(server, "3", "--flag", "a b", OWN="x")
    out, error = client.communicate()
    about = json.loads(out)
    assert client.returncode == 3 and error == "to stderr\n"
    assert about["words"] == ["3", "--flag", "a b"] and about["folder"] == str(tmp_path)
    assert about["variable"] == "x" and about["parent"] == server[1].pid
    # What a job starts does not go to the server.
    assert about["server"] is None


def test_jobs_run_side_by_side(server):
    first = start(server, "wait")
    child = child_of(first)
    assert start(server, "0").wait() == 0
    assert child.is_running()
    first.kill()
    assert first.wait() == -signal.SIGKILL


def test_a_fault_of_the_program_shows_its_traceback(server):
    client = start(server, "raise")
    _, error = client.communicate()
    assert client.returncode == 1 and "RuntimeError: a fault of the program" in error


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_signal_reaches_the_job(server, number, status):
    client = start(server, "wait")
    child = child_of(client)
    client.send_signal(number)
    assert client.wait() == status
    child.wait(timeout=60)


def test_a_killed_job_ends_its_caller_in_the_same_way(server):
    client = start(server, "wait")
    child_of(client).kill()
    assert client.wait() == -signal.SIGKILL


def test_without_a_server_the_command_runs_by_itself(tmp_path):
    variables = {**os.environ, VARIABLE: str(tmp_path / "nothing")}
    done = subprocess.run(
        [sys.executable, "-m", "mergescale", "--version"],
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.startswith("mergescale ")


def test_another_library_is_refused(server, tmp_path):
    """The process of another checkout runs its own code."""
    library = Path(sys.modules["mergescale"].__file__).parent
    (tmp_path / "mergescale").symlink_to(library)
    client = start(server, "--version", PYTHONPATH=str(tmp_path))
    out, _ = client.communicate()
    assert client.returncode == 0 and out.startswith("mergescale ")


def test_processes_of_torchrun_stay_children_of_their_launcher(server):
    client = start(server, "--version", TORCHELASTIC_RUN_ID="1")
    out, _ = client.communicate()
    assert client.returncode == 0 and out.startswith("mergescale ")


def test_jobs_end_with_the_server(server):
    client = start(server, "wait")
    child = child_of(client)
    server[1].stdin.close()
    _, error = client.communicate()
    assert client.returncode == 1
    assert "the job server ended; run Snakemake again" in error
    server[1].wait()
    deadline = time.monotonic() + 60
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
