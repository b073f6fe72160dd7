"""`python -m mergescale <stage> ...`: every stage of a study as a command of its own."""

import signal
import sys

from mergescale.cli.main import main

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names of folders may be no text
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only show a traceback
    sys.exit(status)
