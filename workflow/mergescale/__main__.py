"""`python -m mergescale <stage> ...`: every stage of a study as a command of its own."""

import os
import signal
import sys

from mergescale.cli.main import main

if __name__ == "__main__":
    # Python has none for what is closed, and the next file that is opened would take its place.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names of folders may be no text
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only show a traceback
    sys.exit(status)
