"""`python -m mergescale <stage> ...`: every stage of a study as a command of its own."""

import signal
import sys

from mergescale.cli.main import main

if __name__ == "__main__":
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only show a traceback
    sys.exit(status)
