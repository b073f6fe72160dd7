"""The scorer against lm-evaluation-harness: same model, prompts and choices, in turn.

    python benchmarks/scorer.py --harness PYTHON [--rounds 3] [--rows 200] [--threads 2]

`PYTHON` is the interpreter of an environment of its own with lm-eval 0.4.13, torch and
transformers, whose Hugging Face backend (fp32, CPU) answers the same requests. Each side runs in a
fresh process, one after the other and alternating, with the same number of threads. Start-up
(imports, loading) is counted apart from scoring, which includes making token ids. Texts are random
words of a word-level tokenizer, and weights are random: only the arithmetic counts here. The two
sides must agree on every log-probability to 1e-3 and on every answer.

Options with another meaning: `--harness-batch` is the harness's batch size (requests),
`--batch-tokens` ours.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VOCABULARY, CHOICES = 7400, 4
# Tokens of prompts and of choices, each drawn within a fifth of these.
SETS = {
    "64-token contexts, 4 endings of 35": (64, 35),
    "220-token prompts, 4 choices of 3": (220, 3),
    "220-token prompts, 4 choices of 1": (220, 1),
}
TOLERANCE = 1e-3


def word(number: int) -> str:
    letters = ""
    while True:
        number, rest = divmod(number, 26)
        letters += "abcdefghijklmnopqrstuvwxyz"[rest]
        if not number:
            return "q" + letters


def make_rows(name: str, count: int) -> list[dict]:
    """Rows of `prompt`, `choices` and `answer`."""
    rng = random.Random(name)
    prompt_length, choice_length = SETS[name]

    def text(length: int) -> str:
        return " ".join(word(rng.randrange(VOCABULARY)) for _ in range(length))

    def near(length: int) -> int:
        return max(1, round(length * rng.uniform(0.8, 1.2)))

    return [
        {
            "prompt": text(near(prompt_length)),
            "choices": [text(near(choice_length)) for _ in range(CHOICES)],
            "answer": rng.randrange(CHOICES),
        }
        for _ in range(count)
    ]


def make_model(folder: Path) -> None:
    """A Llama of 4.9 million random parameters, and its word-level tokenizer."""
    from mergescale.models.from_scratch import initialize, train_word_tokenizer
    from mergescale.models.loading import parameter_count, save

    words = train_word_tokenizer([" ".join(map(word, range(VOCABULARY)))])
    model = initialize(
        words,
        hidden_size=256,
        layers=4,
        heads=4,
        intermediate_size=640,
        max_length=512,
        seed=0,
    )
    print(f"model: {parameter_count(model) / 1e6:.1f} million parameters, {len(words)} tokens")
    save(folder, model, words)


def ours(folder: Path, batch_tokens: int):
    """Load the model; the returned function scores rows."""
    from mergescale.evaluation.evaluator import Scorer, build_encoder
    from mergescale.evaluation.requests import EvalConfig, EvalTask
    from mergescale.models.loading import load
    from mergescale.tasks.task import Example

    model, tokenizer = load(folder)
    model.eval()
    encoder = build_encoder(model, tokenizer, 512)

    def score(rows: list[dict]) -> list[list[float]]:
        examples = tuple(
            Example(str(i), "", r["prompt"], r["choices"][r["answer"]], tuple(r["choices"]))
            for i, r in enumerate(rows)
        )
        task = EvalTask("task", "rank", "accuracy", "", examples)
        scorer = Scorer(encoder, [[task]], EvalConfig(batch_tokens=batch_tokens))
        return [list(p.choice_scores) for p in scorer.predict(model, 0)["task"]]

    return score


def harness(folder: Path, batch: int):
    """The same by lm-evaluation-harness."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(
        pretrained=str(folder),
        dtype="float32",
        device="cpu",
        batch_size=batch,
        max_length=512,
        add_bos_token=True,
    )

    def score(rows: list[dict]) -> list[list[float]]:
        requests = [
            Instance("loglikelihood", {}, (row["prompt"], f" {choice}"), place)
            for row in rows
            for place, choice in enumerate(row["choices"])
        ]
        found = iter(model.loglikelihood(requests, disable_tqdm=True))
        return [[next(found)[0] for _ in row["choices"]] for row in rows]

    return score


def run_side(chosen: argparse.Namespace) -> None:
    """In a process of one side: load, warm up on a few rows, score every set, write what came."""
    started = time.perf_counter()
    import torch

    torch.set_num_threads(chosen.threads)
    make = {"ours": ours, "harness": harness}[chosen.side]
    score = make(
        chosen.model, chosen.batch_tokens if chosen.side == "ours" else chosen.harness_batch
    )
    record = {"start-up": time.perf_counter() - started, "sets": {}}
    for name in SETS:
        rows = make_rows(name, chosen.rows)
        score(rows[:2])
        wall, cpu = time.perf_counter(), time.process_time()
        scores = score(rows)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        record["sets"][name] = {"seconds": wall, "cpu": cpu, "scores": scores}
    chosen.out.write_text(json.dumps(record))


def compare(found: dict[str, list[dict]], rows: int) -> None:
    """Print a table of throughputs, and stop if the two sides differ."""
    starts = {side: min(r["start-up"] for r in records) for side, records in found.items()}
    print("start-up: " + ", ".join(f"{side} {s:.1f} s" for side, s in starts.items()))
    print(
        f"{'rows a second':<36} {'harness':>8} {'ours':>8} {'ratio':>6} {'of CPU time':>12}  "
        "accuracies, largest difference"
    )
    for name in SETS:
        # The best of the rounds: a busy machine only ever takes time away.
        wall, cpu = (
            {s: min(r["sets"][name][clock] for r in rs) for s, rs in found.items()}
            for clock in ("seconds", "cpu")
        )
        scores = {s: rs[0]["sets"][name]["scores"] for s, rs in found.items()}
        pairs = [
            abs(a - b)
            for one, two in zip(scores["ours"], scores["harness"], strict=True)
            for a, b in zip(one, two, strict=True)
        ]
        answers = {s: [row.index(max(row)) for row in found] for s, found in scores.items()}
        gold = [row["answer"] for row in make_rows(name, rows)]
        accuracy = {
            s: sum(a == g for a, g in zip(given, gold, strict=True)) / rows
            for s, given in answers.items()
        }
        print(
            f"{name:<36} {rows / wall['harness']:>8.1f} {rows / wall['ours']:>8.1f} "
            f"{wall['harness'] / wall['ours']:>6.1f} {cpu['harness'] / cpu['ours']:>12.1f}  "
            f"{accuracy['harness']:.3f} and {accuracy['ours']:.3f}, {max(pairs):.1e}"
        )
        if max(pairs) > TOLERANCE or answers["ours"] != answers["harness"]:
            raise SystemExit(f"{name}: the two sides differ; the comparison is void")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--harness", metavar="PYTHON", help="its environment's interpreter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--test-rows", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--harness-batch", type=int, default=32)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--side", choices=["ours", "harness"], help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        run_side(chosen)
        return
    if not chosen.harness:
        parser.error("--harness PYTHON: an environment with lm-eval, torch and transformers")
    found: dict[str, list[dict]] = {"ours": [], "harness": []}
    with tempfile.TemporaryDirectory() as folder:
        model, out = Path(folder, "model"), Path(folder, "out.json")
        make_model(model)
        for _ in range(chosen.rounds):
            for side, python in (("harness", chosen.harness), ("ours", sys.executable)):
                command = [python, __file__, "--side", side, "--model", str(model)]
                command += ["--out", str(out), "--test-rows", str(chosen.rows)]
                for name in ("threads", "harness_batch", "batch_tokens"):
                    command += [f"--{name.replace('_', '-')}", str(getattr(chosen, name))]
                threads = {"OMP_NUM_THREADS": str(chosen.threads), "HF_HUB_OFFLINE": "1"}
                subprocess.run(command, check=True, env={**os.environ, **threads})
                found[side].append(json.loads(out.read_text()))
    compare(found, chosen.rows)


if __name__ == "__main__":
    main()
