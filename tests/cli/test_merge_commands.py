"""`merge`, `check` and `explain`: what they print, and what a merge leaves."""

import json
import re
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mergescale.cli.main import main
from mergescale.merging.engine import statistics
from mergescale.merging.engine.estimate import estimate_folders
from mergescale.merging.engine.memory import parse_bytes
from mergescale.merging.recipes.recipe import read_recipe
from mergescale.progress import ByteProgress

SHAPES = {"model.embed_tokens.weight": (40, 16), "model.norm.weight": (16,), "w": (300, 250)}
ELEMENTS = 40 * 16 + 16 + 300 * 250
FOUR = {
    "average": {"method": "averaging"},
    "sum": {"method": "task_arithmetic", "lambda": 0.3},
    "ties": {"method": "ties", "density": 0.2, "lambda": 0.5},
    "dare": {"method": "dare_ties", "density": 0.1, "lambda": 0.5, "seed": 7},
}


@pytest.fixture
def models(tmp_path):
    """A base and two experts in bf16, the base's configuration and an integer tensor."""
    generator = torch.Generator().manual_seed(0)
    base = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    for name in ("base", "math", "code"):
        weights = {
            key: (value + (name != "base") * 0.01 * torch.randn(value.shape, generator=generator))
            for key, value in base.items()
        }
        (tmp_path / name).mkdir()
        save_file(
            {key: value.bfloat16() for key, value in weights.items()} | {"ids": torch.arange(9)},
            tmp_path / name / "model.safetensors",
        )
        (tmp_path / name / "config.json").write_text(
            json.dumps({"torch_dtype": "bfloat16", "vocab_size": 40})
        )
    return tmp_path


@pytest.fixture
def run(models, capsys):
    """Writes a recipe and runs a command on it; gives what was printed."""

    def command(name, recipe, *more):
        whole = {"base": "base", "experts": {"math": "math", "code": "code"}, **recipe}
        file = models / "recipe.yaml"
        file.write_text(
            yaml.safe_dump(whole if "merge_method" not in recipe else recipe, sort_keys=False)
        )
        if name == "merge":
            more = (*more, "--cache-dir", str(models / "cache"), "--threads", "2")
        assert main([name, str(file), *map(str, more)]) == 0
        return capsys.readouterr().out

    return command


def estimated(recipe):
    return estimate_folders(recipe.base, recipe.experts, recipe.merges)


def test_one_merge_is_the_folder_itself(models, run):
    out = models / "out"
    head, line = run("merge", FOUR["sum"], out).splitlines()
    assert head.split() == ["folder", "method", "lambda", "dtype", "size"]
    assert line.split() == [str(out), "Task", "Arithmetic", "0.3", "float32", "303", "kB"]
    assert {path.name for path in out.iterdir()} == {
        *("model.safetensors", "config.json", "merge.json", "README.md")
    }
    merged, base = (
        load_file(out / "model.safetensors"),
        load_file(models / "base/model.safetensors"),
    )
    assert json.loads((out / "config.json").read_text())["torch_dtype"] == "float32"
    assert merged["w"].dtype == torch.float32 and merged["ids"].equal(base["ids"])
    deltas = [
        load_file(models / name / "model.safetensors")["w"].float() - base["w"].float()
        for name in ("math", "code")
    ]
    assert torch.allclose(merged["w"], base["w"].float() + 0.3 * sum(deltas), atol=1e-6)


def test_several_merges_from_one_read_are_those_made_one_by_one(models, run):
    out = models / "all"
    _, *lines = run("merge", {"merges": FOUR}, out).splitlines()
    assert [line.split()[0] for line in lines] == [str(out / name) for name in FOUR]
    for name, recipe in FOUR.items():
        run("merge", recipe, models / name)
        assert (models / name / "model.safetensors").read_bytes() == (
            out / name / "model.safetensors"
        ).read_bytes()


def test_an_existing_merge_is_skipped(models, run):
    run("merge", FOUR["ties"], models / "out")
    before = (models / "out/model.safetensors").stat().st_mtime_ns
    assert "already exists, skipped" in run("merge", FOUR["ties"], models / "out")
    assert (models / "out/model.safetensors").stat().st_mtime_ns == before


def test_thresholds_are_cached_for_the_next_merge(models, run, monkeypatch):
    run("merge", FOUR["ties"], models / "first")
    monkeypatch.setattr(statistics, "compute_cutoffs", None)  # calling it would fail
    run("merge", {**FOUR["ties"], "lambda": 0.1}, models / "second")
    assert len(list((models / "cache").iterdir())) == 2


def test_updates_that_a_16_bit_output_rounds_away_are_reported(models, run):
    recipe = {**FOUR["sum"], "lambda": 0.01, "dtype": "bfloat16"}
    printed = run("merge", recipe, models / "out")
    merged = load_file(models / "out/model.safetensors")
    base = load_file(models / "base/model.safetensors")
    record = json.loads((models / "out/merge.json").read_text())
    same = sum(int(merged[key].eq(base[key]).sum()) for key in SHAPES)
    assert 0.5 < record["rounded_away_fraction"] <= same / ELEMENTS
    assert (
        f"{record['rounded_away_fraction']:.1%} of the updates rounded away in bfloat16" in printed
    )
    assert f"{record['rounded_away_fraction']:.2%}" in (models / "out/README.md").read_text()


def test_the_record_has_content_digests_of_the_inputs(models, run):
    run("merge", FOUR["sum"], models / "out")
    first = json.loads((models / "out/merge.json").read_text())["inputs"]
    assert set(first) == {"base", "math", "code"}
    # The same weights in two files have the same digest; one other weight has another.
    weights = load_file(models / "math/model.safetensors")
    (models / "math/model.safetensors").unlink()
    names = sorted(weights)
    save_file({n: weights[n] for n in names[:1]}, models / "math/model-1.safetensors")
    save_file({n: weights[n] for n in names[1:]}, models / "math/model-2.safetensors")
    index = {n: f"model-{1 + (n != names[0])}.safetensors" for n in names}
    (models / "math/model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    run("merge", FOUR["sum"], models / "again")
    assert json.loads((models / "again/merge.json").read_text())["inputs"] == first
    weights["w"][0, 0] += 1
    save_file({n: weights[n] for n in names[1:]}, models / "math/model-2.safetensors")
    run("merge", FOUR["sum"], models / "other")
    other = json.loads((models / "other/merge.json").read_text())["inputs"]
    assert other["math"]["digest"] != first["math"]["digest"]
    assert other["code"] == first["code"]


def test_a_mergekit_file_is_supported(models, run):
    recipe = {
        "merge_method": "ties",
        "base_model": str(models / "base"),
        "models": [
            {"model": str(models / "math"), "parameters": {"weight": 1.0, "density": 0.5}},
            {"model": str(models / "code"), "parameters": {"weight": 0.5}},
        ],
        "parameters": {"density": 0.3, "lambda": 0.8, "normalize": True},
        "dtype": "float32",
        "out_dtype": "bfloat16",
    }
    run("merge", recipe, models / "out")
    record = json.loads((models / "out/merge.json").read_text())
    assert record["dtype"] == "bfloat16"
    assert record["recipe"] == {
        "method": "ties",
        "lambda": 0.8,
        "parameters": {
            "aggregate": "mean",
            "ties": "first",
            "density": 0.3,
            "rounding": "at_least_one",
            "trim_scope": "tensor",
        },
        "experts": {"math": {"density": 0.5, "weight": 1.0}, "code": {"weight": 0.5}},
    }


def test_check_reads_headers_only(models, run, monkeypatch):
    from mergescale.checkpoints.reader import CheckpointReader

    monkeypatch.setattr(CheckpointReader, "read_bytes", None)
    lines = run("check", FOUR["sum"]).splitlines()
    assert lines[0].startswith("base: 75,656 parameters, 151 kB in 1 file, tensors: 3 BF16, 1 I64")
    assert lines[-1] == "names, shapes, dtypes and tokenizers agree"


def test_explain_shows_formula_bytes_and_memory(models, run):
    printed = run("explain", {"merges": FOUR})
    assert "ties: TIES of code, math over" in printed
    assert "tau = disjoint_mean_i(w_i trim(tau_i))" in printed
    assert "inputs: 454 kB\ntotal read: about " in printed and "memory: at most 500 MB" in printed


def test_masks_are_counted_among_what_is_written(models, run):
    run("explain", {"method": "emr", "lambda": 1, "dtype": "bfloat16"})
    work = estimated(read_recipe(models / "recipe.yaml"))
    assert work.written == ELEMENTS * 2 + 9 * 8 + 2 * ELEMENTS
    run("merge", {"method": "emr", "lambda": 1, "dtype": "bfloat16"}, models / "out")
    size = sum(file.stat().st_size for file in (models / "out").glob("*.safetensors"))
    assert work.written < size < work.written + 2000  # two headers


def test_the_estimate_is_what_a_merge_moves(models, run):
    from mergescale.merging.engine.run import run_merges

    twice = {name: {"method": "emr", "lambda": lam} for name, lam in (("a", 0.5), ("b", 1))}
    twice |= {name: {"method": "slerp", "t": t} for name, t in (("c", 0.2), ("d", 0.4))}
    for recipe in (*FOUR.values(), {"merges": FOUR}, {"merges": twice}):
        run("explain", recipe)
        wanted = read_recipe(models / "recipe.yaml")
        moved = []
        run_merges(
            wanted.base,
            wanted.experts,
            wanted.into(models / f"out{len(list(models.iterdir()))}"),
            on_progress=moved.append,
        )
        assert sum(moved) == estimated(wanted).moved


def test_existing_merges_and_cached_thresholds_are_skipped(models, run):
    from mergescale.merging.engine.run import run_merges

    run("explain", {"merges": FOUR})
    wanted = read_recipe(models / "recipe.yaml")
    merges = wanted.into(models / "out")

    def made(some):
        moved, skipped, cache = [], [], models / "cache"
        bytes_of = {"on_progress": moved.append, "on_skipped": skipped.append}
        run_merges(wanted.base, wanted.experts, some, cache_dir=cache, **bytes_of)
        return sum(moved), sum(skipped)

    whole, weights = estimated(wanted), ELEMENTS * 4 + 9 * 8
    assert made(merges[:1])[1] == 0
    assert made(merges) == (whole.moved - weights, weights)
    shutil.rmtree(models / "out/ties")  # its thresholds are cached
    assert made(merges) == (whole.merging + weights, whole.statistics + 3 * weights)
    assert made(merges) == (0, whole.moved)


def test_skipped_bytes_are_taken_off_the_total():
    progress = ByteProgress(1000, "merge")
    progress.add(100)
    progress.skip(600)
    progress.add(300)
    assert (progress.done, progress.total) == (400, 400)
    assert re.fullmatch(r"400 B in [\d.,]+ s, [\d.]+ [kMG]?B/s", progress.summary())


@pytest.mark.parametrize(
    ("text", "count"),
    [("500MB", 500_000_000), ("1GiB", 2**30), ("1.5 k", 1500), (17, 17), ("2 TiB", 2 * 2**40)],
)
def test_amounts_of_memory(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "MB", "-1", "0", "1PB", True, None])
def test_other_amounts_are_refused(text):
    with pytest.raises(ValueError, match="amount of memory"):
        parse_bytes(text)
