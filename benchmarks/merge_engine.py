"""Merging a 267M-parameter Llama with 8 experts: this engine, mergekit, and plain copying.

    python benchmarks/merge_engine.py FOLDER [--mergekit PYTHON] [--methods ties] [--repeats 3]

FOLDER gets the models (hidden 1024, 12 layers, vocabulary 32,000, untied, bf16; 4.8 GB, random,
made once). PYTHON is the interpreter of an environment with mergekit (`pip install
mergekit==0.1.5`); without it only this engine and plain copying are timed. All runs of a round come
one after the other, so that their ratios hold on a noisy machine; each is a process of its own, and
its wall time and peak memory include its start. Before each, what the last one wrote is brought to
the disk. mergekit ends without waiting for that, so the others do too; --sync lets these wait.
Peaks are resident memory (`ru_maxrss`, with the page cache that a process has mapped), and for this
engine anonymous memory too (0 where /proc does not tell it).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
EXPERTS = 8
SHAPE = {"hidden": 1024, "layers": 12, "vocabulary": 32_000, "intermediate": 4096}
OURS = {
    "linear": {"method": "averaging"},
    "task_arithmetic": {"method": "task_arithmetic", "lambda": 0.3},
    "ties": {"method": "ties", "density": 0.2, "lambda": 0.5},
    "dare_ties": {"method": "dare_ties", "density": 0.2, "lambda": 0.5, "seed": 1},
}
ALL = {
    "averaging": OURS["linear"],
    "task_arithmetic": OURS["task_arithmetic"],
    "ties-20": OURS["ties"],
    "ties-10": {**OURS["ties"], "density": 0.1},
    "dare_ties-20": OURS["dare_ties"],
    "dare_ties-10": {**OURS["dare_ties"], "density": 0.1},
}
# Runs a command and prints its wall time and peaks; polls anonymous memory of the process.
WATCH = """
import json, os, re, subprocess, sys, time
start = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
peak = 0
while child.poll() is None:
    try:
        found = re.search(r"RssAnon:\\s+(\\d+)", open(f"/proc/{child.pid}/status").read())
        peak = max(peak, int(found[1]) * 1024) if found else peak
    except OSError:
        pass
    time.sleep(0.02)
import resource
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({"seconds": time.monotonic() - start, "status": child.returncode,
                  "resident": used.ru_maxrss * unit, "anonymous": peak,
                  "cpu": used.ru_utime + used.ru_stime}))
"""


def tensors(shape: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights."""
    h, i = shape["hidden"], shape["intermediate"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (shape["vocabulary"], h)}
    for layer in range(shape["layers"]):
        start = f"model.layers.{layer}."
        found |= {f"{start}self_attn.{p}_proj.weight": (h, h) for p in "qkvo"}
        found |= {f"{start}mlp.{p}_proj.weight": (i, h) for p in ("gate", "up")}
        found[f"{start}mlp.down_proj.weight"] = (h, i)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"{start}{norm}.weight"] = (h,)
    return found | {"model.norm.weight": (h,), "lm_head.weight": (shape["vocabulary"], h)}


def build(folder: Path, shape: dict[str, int], experts: int) -> None:
    """Write the base and its experts, unless they are there.

    Weights are slices of one block of random numbers, experts add slices of another: what costs
    time in a merge does not depend on it, and models of any size are made as fast as they are
    written.
    """
    import torch

    from mergescale.checkpoints.safetensors_header import encode_header

    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": shape["hidden"], "num_hidden_layers": shape["layers"],
        "intermediate_size": shape["intermediate"], "vocab_size": shape["vocabulary"],
        "num_attention_heads": 16, "num_key_value_heads": 16, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    sizes = tensors(shape)
    head, _ = encode_header([(n, "BF16", size) for n, size in sizes.items()], {"format": "pt"})
    block = 1 << 24
    base = 0.02 * torch.randn(block, generator=torch.Generator().manual_seed(0))
    for number in range(experts + 1):
        target = folder / ("base" if number == 0 else f"expert{number}")
        if (target / "model.safetensors").is_file():
            continue
        noise = torch.randn(block, generator=torch.Generator().manual_seed(number))
        values = (base + (0.002 * noise if number else 0)).bfloat16().view(torch.int16).numpy()
        target.mkdir(parents=True, exist_ok=True)
        partial = target / "model.partial"
        with partial.open("wb") as stream:
            stream.write(head)
            for place, size in enumerate(sizes.values()):
                left, at = math.prod(size), 1_000_003 * place % block
                while left:
                    part = values[at : at + left]
                    stream.write(memoryview(part).cast("B"))
                    left, at = left - len(part), 0
        partial.rename(target / "model.safetensors")
        (target / "config.json").write_text(json.dumps(config, indent=1))
        print(f"built {target}", file=sys.stderr, flush=True)


def measured(command: list[str], **more: str) -> dict[str, float]:
    """Wall time and peaks of a command; a failed one ends the benchmark."""
    os.sync()
    environment = {**os.environ, **more}
    run = subprocess.run(
        [sys.executable, "-c", WATCH, *command],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    if found["status"]:
        raise SystemExit(f"failed: {' '.join(command)}")
    return found


def plain(folder: Path, experts: int, threads: int, sync: bool) -> dict[str, float]:
    """Read every input once and write one output, with plain system calls."""
    code = (
        "import os, sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "*files, out, threads, sync = sys.argv[1:]\n"
        "def read(file):\n"
        "    buffer = bytearray(1 << 20)\n"
        "    with open(file, 'rb', buffering=0) as stream:\n"
        "        while stream.readinto(buffer): pass\n"
        "with ThreadPoolExecutor(int(threads)) as pool: list(pool.map(read, files))\n"
        "left, block = os.path.getsize(files[0]), bytes(1 << 20)\n"
        "with open(out, 'wb', buffering=0) as stream:\n"
        "    while left > 0: left -= stream.write(block[:left])\n"
        "    if sync == 'sync': os.fsync(stream.fileno())\n"
    )
    names = ["base", *(f"expert{n}" for n in range(1, experts + 1))]
    files = [str(folder / name / "model.safetensors") for name in names]
    out = folder / "plain.out"
    waits = "sync" if sync else ""
    found = measured([sys.executable, "-c", code, *files, str(out), str(threads), waits])
    out.unlink()
    return found


def ours(folder: Path, recipe: dict, experts: int, threads: int, sync: bool) -> dict[str, float]:
    """One merge by `mergescale merge`, without cached thresholds."""
    import yaml

    content = {
        "base": str(folder / "base"),
        "experts": {f"expert{n}": str(folder / f"expert{n}") for n in range(1, experts + 1)},
        "dtype": "bfloat16",
        **recipe,
    }
    file, out, cache = folder / "recipe.yaml", folder / "ours", folder / "cache"
    file.write_text(yaml.safe_dump(content))
    for old in (out, cache):
        shutil.rmtree(old, ignore_errors=True)
    return measured(
        [
            sys.executable, "-m", "mergescale", "merge", str(file), str(out),
            "--threads", str(threads), "--cache-dir", str(cache),
            "--timing", str(folder / "timing.json"),
            *(() if sync else ("--no-sync",)),
        ]
    )  # fmt: skip


def mergekit(folder: Path, method: str, python: str, experts: int) -> dict[str, float]:
    """The same merge by mergekit, `dtype: float32`, `out_dtype: bfloat16`."""
    import yaml

    own = (
        {"weight": 1.0}
        if method in ("linear", "task_arithmetic")
        else {"weight": 1.0, "density": 0.2}
    )
    content = {
        "merge_method": method,
        "models": [
            {"model": str(folder / f"expert{n}"), "parameters": own} for n in range(1, experts + 1)
        ],
        "parameters": {"lambda": 0.5} if method != "linear" else {},
        "dtype": "float32",
        "out_dtype": "bfloat16",
    }
    if method != "linear":
        content["base_model"] = str(folder / "base")
    file, out = folder / "mergekit.yaml", folder / "theirs"
    file.write_text(yaml.safe_dump(content))
    shutil.rmtree(out, ignore_errors=True)
    program = Path(python).parent / "mergekit-yaml"
    return measured([str(program), str(file), str(out), "--no-copy-tokenizer"], HF_HUB_OFFLINE="1")


def main() -> None:
    from mergescale.cores import usable_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mergekit", metavar="PYTHON")
    parser.add_argument("--methods", nargs="+", choices=OURS, default=list(OURS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--experts", type=int, default=EXPERTS)
    parser.add_argument("--sync", action="store_true", help="wait until the disk holds the output")
    chosen = parser.parse_args()
    build(chosen.folder, SHAPE, chosen.experts)
    runs: dict[str, list[dict[str, float]]] = {}

    def note(name: str, found: dict[str, float]) -> None:
        runs.setdefault(name, []).append(found)
        print(
            f"{name:32} {found['seconds']:7.1f} s  cpu {found['cpu']:6.1f} s  "
            f"anonymous {found['anonymous'] / 1e6:7.0f} MB  "
            f"resident {found['resident'] / 1e6:7.0f} MB",
            flush=True,
        )

    common = chosen.experts, chosen.threads, chosen.sync
    # Untimed: from here on the inputs are in memory, and the compiled kernels on disk.
    ours(chosen.folder, OURS["linear"], *common)
    for _ in range(chosen.repeats):
        note("plain", plain(chosen.folder, *common))
        for method in chosen.methods:
            note(f"ours {method}", ours(chosen.folder, OURS[method], *common))
            if chosen.mergekit:
                found = mergekit(chosen.folder, method, chosen.mergekit, chosen.experts)
                note(f"mergekit {method}", found)
        note("ours all", ours(chosen.folder, {"merges": ALL}, *common))
    middle = {name: median(r["seconds"] for r in found) for name, found in runs.items()}
    print("\nmedian seconds; ratio to plain reading and writing; mergekit / ours")
    for method in [*chosen.methods, "all"]:
        mine, theirs = middle[f"ours {method}"], middle.get(f"mergekit {method}")
        print(
            f"{method:16} {mine:6.1f} s   {mine / middle['plain']:5.1f} x plain"
            + (f"   {theirs:6.1f} s   {theirs / mine:5.1f} x" if theirs else "")
        )
    dearest = max(middle[f"ours {method}"] for method in chosen.methods)
    print(f"all in one pass: {middle['ours all'] / dearest:.2f} x the dearest single merge")


if __name__ == "__main__":
    main()
