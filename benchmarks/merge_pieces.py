"""How large the merge engine's pieces should be, and what keeping freed memory is worth.

    python benchmarks/merge_pieces.py FOLDER [--blocks 1 2 4 8] [--threads 2]

FOLDER holds the models of `merge_engine.py` (made if they are not there). One eighth of the model
is merged by each method without writing it; each line is a process of its own, in turn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from merge_engine import EXPERTS, OURS, SHAPE, build

ONE = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
import torch
from mergescale.merging.ops.kernels.loading import load_kernels
from mergescale.merging.registry import get_method
from mergescale.merging.engine import memory
from mergescale.merging.engine import statistics as stream_statistics
from mergescale.merging.engine import engine as stream
from mergescale.checkpoints import blocks as pieces
from mergescale.checkpoints.reader import Source

folder, method, blocks, threads, keep = sys.argv[1:]
folder, blocks, threads = Path(folder), int(blocks), int(threads)
torch.set_num_threads(1)
if keep == "kept":
    memory.keep_freed_memory()
pieces.WORKING_BYTES = {"cpu": blocks * pieces.BLOCK * pieces.element_bytes(8)}
every, span = pieces.pieces, 16 * pieces.BLOCK

def some(*arguments):
    return [p for p in every(*arguments) if p.start // span % 8 == 0]

stream.pieces = stream_statistics.pieces = some

class Nowhere:
    def write(self, *_, **__): pass
    def item_bytes(self, tensor): return 2

class Unmarked:
    tally, done = None, 0
    def marking(self, outputs): return nullcontext()
    def reached(self, *_): pass

base = Source.open(folder / "base")
experts = {f"expert{n}": Source.open(folder / f"expert{n}") for n in range(1, 9)}
load_kernels()
engine = stream.Engine(base, experts, threads=threads, memory=None, compiled=True)
chosen = get_method(method)
settings = {"density": 0.2} if "ties" in method else {}
merge = stream.Merge(
    Path("out"), chosen, tuple(experts), 1.0, chosen.canonical(settings), seed=1, dtype="bfloat16"
)
wall, cpu = time.monotonic(), time.process_time()
found = engine.statistics([merge], None, lambda _: None)
engine.run([merge], [Nowhere()], found, Unmarked(), lambda _: None)
print(f"{time.monotonic() - wall:6.2f} s   cpu {time.process_time() - cpu:6.2f} s")
"""


def main() -> None:
    from mergescale.cores import usable_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--repeats", type=int, default=2)
    chosen = parser.parse_args()
    build(chosen.folder, SHAPE, EXPERTS)
    for _ in range(chosen.repeats):
        for method in sorted({recipe["method"] for recipe in OURS.values()}):
            for blocks in chosen.blocks:
                for keep in ("kept", "given back"):
                    command = [sys.executable, "-c", ONE, str(chosen.folder), method]
                    run = subprocess.run(
                        [*command, str(blocks), str(chosen.threads), keep],
                        stdout=subprocess.PIPE,
                        text=True,
                        check=True,
                    )
                    print(f"{method:16} {blocks} blocks, {keep:10}  {run.stdout}", end="")


if __name__ == "__main__":
    main()
