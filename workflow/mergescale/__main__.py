"""`python -m mergescale <stage> ...`: every stage of a study as a command of its own."""

import sys

from mergescale.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
