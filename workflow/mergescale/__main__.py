"""The `mergescale` command, which is also `python -m mergescale`."""

import atexit
import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from mergescale.cli.main import main


def fast_exit(status: int) -> NoReturn:
    """End the process in order, but leave its memory to the operating system.

    Python would take apart every object of torch first, one by one: half a second.
    """
    threading._shutdown()  # as python does it: executors are told, then threads are waited for
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            stream.flush()
    os._exit(status)


def run() -> NoReturn:
    """Run the command line of this process and end the process with its exit status."""
    # Python has none for what is closed, and the next file that is opened would take its place.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names of folders may be no text
    # Importing torch makes hundreds of thousands of objects, none of them garbage: looking for some
    # after every 700 of them, as by default, takes a tenth of a second.
    gc.set_threshold(20_000)
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only show a traceback
    fast_exit(status)


if __name__ == "__main__":
    run()
