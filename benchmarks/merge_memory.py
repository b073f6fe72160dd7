"""The merge engine's memory: flat in the models' size and in the number of experts.

    python benchmarks/merge_memory.py FOLDER [--method ties] [--enforce 1GB]

FOLDER gets a 267M-parameter Llama and one of 8 times its size, each with 8 experts (bf16, 43 GB).
Peaks are anonymous memory, polled, which only Linux tells. --enforce makes the operating system
refuse what goes beyond (RLIMIT_DATA, which counts all private writable memory), for the larger
model with 8 experts.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

from merge_engine import EXPERTS, OURS, SHAPE, build, ours

EIGHTFOLD = {"hidden": 2048, "layers": 39, "vocabulary": 32_000, "intermediate": 5632}


def main() -> None:
    from mergescale.cores import usable_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", choices=OURS, default="ties")
    parser.add_argument("--enforce", metavar="SIZE", default="1GB")
    parser.add_argument("--threads", type=int, default=usable_cores())
    chosen = parser.parse_args()
    from mergescale.merging.engine.memory import parse_bytes

    peaks = {}
    for name, shape in (("267M", SHAPE), ("2.1B", EIGHTFOLD)):
        folder = chosen.folder / name
        build(folder, shape, EXPERTS)
        for experts in (2, EXPERTS):
            found = ours(folder, OURS[chosen.method], experts, chosen.threads, sync=False)
            peaks[name, experts] = found["anonymous"]
            print(
                f"{chosen.method} {name} {experts} experts: anonymous "
                f"{found['anonymous'] / 1e6:.0f} MB, {found['seconds']:.1f} s",
                flush=True,
            )
    print(f"largest / smallest peak: {max(peaks.values()) / min(peaks.values()):.3f}")
    limit = parse_bytes(chosen.enforce)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    found = ours(chosen.folder / "2.1B", OURS[chosen.method], EXPERTS, chosen.threads, sync=False)
    print(
        f"{chosen.method} 2.1B {EXPERTS} experts under RLIMIT_DATA {limit:,}: done in "
        f"{found['seconds']:.1f} s, anonymous {found['anonymous'] / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
