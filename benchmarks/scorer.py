"""The scorer against lm-evaluation-harness: same model, prompts and choices, in turn.

    python benchmarks/scorer.py --harness PYTHON [--rounds 3] [--rows 200] [--threads 2]

`PYTHON` is the interpreter of a separate environment with lm-eval 0.4.13, torch and transformers,
whose Hugging Face backend (fp32, CPU) scores the same requests. Each side runs in a fresh process,
one after the other and alternating, with the same number of threads. Start-up (imports, loading) is
counted apart from scoring, which includes tokenizing. Texts are random words of a word-level
tokenizer, and weights are random: only the arithmetic counts here. Both sides must agree on every
log-probability to 1e-3 and on every answer.

`--harness-batch` is the harness's batch size in requests, `--batch-tokens` mergescale's in tokens.
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
# Tokens of prompts and of choices; lengths vary by up to a fifth.
SETS = {
    "64-token contexts, 4 endings of 35": (64, 35),
    "220-token prompts, 4 choices of 3": (220, 3),
    "220-token prompts, 4 choices of 1": (220, 1),
}
TOLERANCE = 1e-3


def word(number: int) -> str:
    """The word of a number, in letters."""
    letters = ""
    while True:
        number, rest = divmod(number, 26)
        letters += "abcdefghijklmnopqrstuvwxyz"[rest]
        if not number:
            return "q" + letters


def make_rows(name: str, count: int) -> list[dict]:
    """Random rows with `prompt`, `choices` and `answer` (the index of a choice)."""
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
    """Write a Llama of 4.9 million random parameters with its word-level tokenizer."""
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


def mergescale_scorer(folder: Path, batch_tokens: int):
    """Load the model by mergescale.

    Returns:
        A function of rows that gives the log-probability of each of their choices.
    """
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


def harness_scorer(folder: Path, batch: int):
    """As `mergescale_scorer`, by lm-evaluation-harness."""
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
            Instance("loglikelihood", {}, (row["prompt"], f" {choice}"), index)
            for row in rows
            for index, choice in enumerate(row["choices"])
        ]
        remaining = iter(model.loglikelihood(requests, disable_tqdm=True))
        return [[next(remaining)[0] for _ in row["choices"]] for row in rows]

    return score


def run_side(args: argparse.Namespace) -> None:
    """Run one side in this process: load, warm up on a few rows, score every set, write results."""
    started = time.perf_counter()
    import torch

    torch.set_num_threads(args.threads)
    make = {"mergescale": mergescale_scorer, "harness": harness_scorer}[args.side]
    score = make(args.model, args.batch_tokens if args.side == "mergescale" else args.harness_batch)
    record = {"start-up": time.perf_counter() - started, "sets": {}}
    for name in SETS:
        rows = make_rows(name, args.rows)
        score(rows[:2])
        wall, cpu = time.perf_counter(), time.process_time()
        scores = score(rows)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        record["sets"][name] = {"seconds": wall, "cpu": cpu, "scores": scores}
    args.out.write_text(json.dumps(record))


def compare(records: dict[str, list[dict]], rows: int) -> None:
    """Print a table of throughputs; exit with an error if the two sides differ."""
    starts = {side: min(r["start-up"] for r in runs) for side, runs in records.items()}
    print("start-up: " + ", ".join(f"{side} {s:.1f} s" for side, s in starts.items()))
    print(
        f"{'rows per second':<36} {'harness':>8} {'mergescale':>10} {'ratio':>6} "
        f"{'of CPU time':>12}  accuracies, largest difference"
    )
    for name in SETS:
        # The best of the rounds, as a busy machine can only add time.
        wall, cpu = (
            {s: min(r["sets"][name][clock] for r in rs) for s, rs in records.items()}
            for clock in ("seconds", "cpu")
        )
        scores = {s: rs[0]["sets"][name]["scores"] for s, rs in records.items()}
        pairs = [
            abs(a - b)
            for one, two in zip(scores["mergescale"], scores["harness"], strict=True)
            for a, b in zip(one, two, strict=True)
        ]
        answers = {
            s: [row.index(max(row)) for row in rows_of_side] for s, rows_of_side in scores.items()
        }
        gold = [row["answer"] for row in make_rows(name, rows)]
        accuracy = {
            s: sum(a == g for a, g in zip(given, gold, strict=True)) / rows
            for s, given in answers.items()
        }
        print(
            f"{name:<36} {rows / wall['harness']:>8.1f} {rows / wall['mergescale']:>10.1f} "
            f"{wall['harness'] / wall['mergescale']:>6.1f} "
            f"{cpu['harness'] / cpu['mergescale']:>12.1f}  {accuracy['harness']:.3f} and "
            f"{accuracy['mergescale']:.3f}, {max(pairs):.1e}"
        )
        if max(pairs) > TOLERANCE or answers["mergescale"] != answers["harness"]:
            raise SystemExit(f"{name}: the two sides differ; the comparison is void")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--harness", metavar="PYTHON", help="its environment's interpreter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--harness-batch", type=int, default=32)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--side", choices=["mergescale", "harness"], help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        run_side(args)
        return
    if not args.harness:
        parser.error("--harness PYTHON: an environment with lm-eval, torch and transformers")
    records: dict[str, list[dict]] = {"mergescale": [], "harness": []}
    with tempfile.TemporaryDirectory() as folder:
        model, out = Path(folder, "model"), Path(folder, "out.json")
        make_model(model)
        for _ in range(args.rounds):
            for side, python in (("harness", args.harness), ("mergescale", sys.executable)):
                command = [python, __file__, "--side", side, "--model", str(model)]
                command += ["--out", str(out), "--rows", str(args.rows)]
                for name in ("threads", "harness_batch", "batch_tokens"):
                    command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
                threads = {"OMP_NUM_THREADS": str(args.threads), "HF_HUB_OFFLINE": "1"}
                subprocess.run(command, check=True, env={**os.environ, **threads})
                records[side].append(json.loads(out.read_text()))
    compare(records, args.rows)


if __name__ == "__main__":
    main()
