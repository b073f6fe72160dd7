"""Runs the `mergescale` command of a process, on the job server if there is one."""

import atexit
import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from mergescale.cli.job_client import run_on_server


def fast_exit(status: int) -> NoReturn:
    """End the process in order, but leave its memory to the operating system.

    Otherwise Python would first free every object of torch one by one, for half a second.

    Args:
        status: Exit status.
    """
    threading._shutdown()  # as Python does: notify executors, then wait for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # no reader is left, or the stream is closed
            stream.flush()
    os._exit(status)


def run() -> NoReturn:
    """Run the command line of this process and end the process with its exit status."""
    # A closed stream is None in Python, and the next file that is opened would get its number.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names of folders need not be valid text
    # Importing torch creates hundreds of thousands of objects, none of them garbage: a collection
    # after every 700 of them, the default, takes a tenth of a second.
    gc.set_threshold(20_000)
    status = run_on_server(sys.argv[1:])
    if status is None:
        from mergescale.cli.main import main

        status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only show a traceback
    fast_exit(status)
