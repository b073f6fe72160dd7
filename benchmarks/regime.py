"""The criteria of docs/micro_world.md for bases and experts, measured on validation rows.

    snakemake --configfile trial.yaml results/trial/models/500k/it/experts/sentiment/config.json ...
    python benchmarks/regime.py results/trial [--sizes 500k] [--bases it]

Reads the models and tasks of a study, finished or not: it needs the bases and their experts. It
looks at no merge, and at no test row.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from statistics import fmean

import torch

from mergescale import config
from mergescale.checkpoints.folder import read_weights
from mergescale.evaluation.model_variant import StaticVariant
from mergescale.merging.merge_identity import weights_digest
from mergescale.stages.evaluation_arguments import ScoringArguments, load_evaluator
from mergescale.stages.shared_arguments import CategoryArguments, ComputeArguments
from mergescale.tasks.task import chance_level

ROOT = Path(__file__).resolve().parents[1]
ROWS = 128


def load(study: Path, base: Path, tasks: dict, folder: Path):
    """An evaluator whose test rows are the study's validation rows."""
    roles = {role: [(name, tuple(own)) for name, own in tasks[role].items()] for role in tasks}
    for name in [task for groups in roles.values() for _, own in groups for task in own]:
        target = folder / "tasks" / name
        if not target.exists():
            shutil.copytree(study / "tasks" / name, target)
            shutil.copy(study / "tasks" / name / "validation.parquet", target / "test.parquet")
    return load_evaluator(
        base,
        tasks=folder / "tasks",
        categories=CategoryArguments(**roles),
        scoring=ScoringArguments(test_rows=ROWS, max_new_tokens=24, max_length=96),
        compute=ComputeArguments(1, "cpu"),
        cache=study / ".regime",
    )


def score(evaluator, folder: Path, categories=None) -> dict[str, float]:
    """{task: mean score} of a model of the evaluator's architecture."""
    weights = read_weights(folder)

    def put(model) -> None:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])

    variant = StaticVariant(weights_digest(folder), load=put)
    predicted = evaluator.predict(variant, categories, lambda _: None)
    return {task: record["score"] for task, record in evaluator.score_record(predicted).items()}


def relative_norm(base: dict, expert: dict) -> float:
    """Length of the task vector over the length of the base's weights."""
    moved = sum(float((expert[n].double() - base[n].double()).square().sum()) for n in base)
    return (moved / sum(float(base[n].double().square().sum()) for n in base)) ** 0.5


def main() -> None:
    """Print a line per task, then the criteria."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--sizes", nargs="+")
    parser.add_argument("--bases", nargs="+", default=["pt", "it"])
    args = parser.parse_args()
    tasks = config.load(ROOT / "config" / "config.yaml")["tasks"]
    tasks = {role: tasks[role] for role in ("held_in", "held_out")}
    sizes = args.sizes or sorted(path.name for path in (args.study / "models").iterdir())
    for size in sizes:
        for base in args.bases:
            with tempfile.TemporaryDirectory() as temporary:
                report(args.study, args.study / "models" / size / base, tasks, Path(temporary))


def report(study: Path, base: Path, tasks: dict, temporary: Path) -> None:
    """Measure a base and its experts."""
    print(f"\n{base.relative_to(study / 'models')}")
    evaluator = load(study, base, tasks, temporary)
    groups = [task for group in evaluator.test.groups for task in group]
    chance = {task.name: chance_level(task.examples) for task in groups}
    rows = {task.name: len(task.examples) for task in groups}
    held_out = [task for own in tasks["held_out"].values() for task in own]
    of_base = score(evaluator, base)
    own_weights = read_weights(base)
    ratios, ceilings, kept, norms = {}, [], [], []
    for category, own in tasks["held_in"].items():
        folder = base / "experts" / category
        if not (folder / "config.json").is_file():
            print(f"  {category:26s}" + "".join(f" {t} {of_base[t]:.3f}" for t in own))
            continue
        wanted = {category, *tasks["held_out"]}
        of_expert = score(evaluator, folder, wanted)
        norms.append(relative_norm(own_weights, read_weights(folder)))
        ratios[category] = fmean(of_base[t] / max(of_expert[t], 1e-9) for t in own)
        ceilings.append(fmean(of_expert[t] for t in own))
        kept.append(fmean(of_expert[t] for t in held_out) / fmean(of_base[t] for t in held_out))
        cells = "  ".join(f"{t} {of_base[t]:.3f} -> {of_expert[t]:.3f}" for t in own)
        print(f"  {category:26s} {cells}  kept {kept[-1]:.3f}  norm {norms[-1]:.4f}")
    above = 0
    for task in held_out:
        error = (chance[task] * (1 - chance[task]) / rows[task]) ** 0.5
        clear = of_base[task] > chance[task] + 2 * error
        above += clear
        star = " *" if clear else ""
        print(f"  {task:26s} {of_base[task]:.3f} (chance {chance[task]:.3f}){star}")
    if ratios:
        print(
            f"  base / expert, held-in: mean {fmean(ratios.values()):.3f}, "
            f"least {min(ratios.values()):.3f}; experts {fmean(ceilings):.3f}; "
            f"held-out kept {fmean(kept):.3f}; "
            f"norm mean {fmean(norms):.4f}, largest {max(norms):.4f}"
        )
    mean = fmean(of_base[task] for task in held_out)
    print(f"  held-out tasks above chance: {above} of {len(held_out)}, mean {mean:.3f}")


if __name__ == "__main__":
    main()
