"""How large the merge engine's blocks should be, and what keeping freed memory is worth.

    python benchmarks/merge_blocks.py FOLDER [--blocks 1 2 4 8] [--threads 2]

FOLDER has the models of `merge_engine.py` (made if they do not exist). One eighth of the model is
merged by each method without writing it; each line is a process of its own, in turn.
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
from mergescale.checkpoints.blocks import BLOCK
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.merging.engine import memory
from mergescale.merging.engine.delta_reader import DeltaReader
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.ops.kernels.loading import load_kernels
from mergescale.merging.registry import get_method

folder, name, blocks, threads, keep = sys.argv[1:]
folder, blocks, threads = Path(folder), int(blocks), int(threads)
torch.set_num_threads(1)
if keep == "keep":
    memory.keep_freed_memory()
memory.WORKING_BYTES = {"cpu": blocks * BLOCK * memory.element_bytes(8)}
all_blocks, span = DeltaReader.blocks, 16 * BLOCK

def some_blocks(self, names=None):
    return [b for b in all_blocks(self, names) if b.start // span % 8 == 0]

DeltaReader.blocks = some_blocks

class NoOutput:
    bytes = 0
    def write(self, *_, **__): pass
    def item_bytes(self, tensor): return 2

class NoJournal:
    tally, done, sync = None, 0, False
    def commit_in_background(self, outputs): return nullcontext()
    def advance(self, *_): pass

base = CheckpointReader.open(folder / "base")
experts = {f"expert{n}": CheckpointReader.open(folder / f"expert{n}") for n in range(1, 9)}
load_kernels()
engine = Engine(base, experts, threads=threads, memory=None, compiled=True)
method = get_method(name)
parameters = method.canonical({"density": 0.2} if "ties" in name else {})
merge = Merge(Path("out"), method, tuple(experts), 1.0, parameters, seed=1, dtype="bfloat16")
wall, cpu = time.monotonic(), time.process_time()
statistics = engine.statistics([merge], None, lambda _: None)
engine.run([merge], [NoOutput()], statistics, NoJournal(), lambda _: None)
print(f"{time.monotonic() - wall:6.2f} s   cpu {time.process_time() - cpu:6.2f} s")
"""


def main() -> None:
    from mergescale.cores import usable_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    build(args.folder, SHAPE, EXPERTS)
    for _ in range(args.repeats):
        for method in sorted({recipe["method"] for recipe in OURS.values()}):
            for blocks in args.blocks:
                for keep in ("keep", "give back"):
                    command = [sys.executable, "-c", ONE, str(args.folder), method]
                    run = subprocess.run(
                        [*command, str(blocks), str(args.threads), keep],
                        stdout=subprocess.PIPE,
                        text=True,
                        check=True,
                    )
                    print(f"{method:16} {blocks} blocks, {keep:10}  {run.stdout}", end="")


if __name__ == "__main__":
    main()
