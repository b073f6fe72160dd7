"""The `mergescale` command, which is also `python -m mergescale`."""

from mergescale.cli.entry import run

if __name__ == "__main__":
    run()
