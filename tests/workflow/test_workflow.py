"""Snakemake's plans, by its own job counts: the grid, bad configurations, changes of a study."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, SMOKE, job_counts, project_copy, snakemake, succeeded

MERGED = "results/default/merges/40k/pt/n2-s1/ties"
MEDIAN = "workflow/mergescale/merging/methods/median.py"
# The jobs that follow from new or changed scores.
AFTER_SCORES = dict.fromkeys(
    ("scores", "performance", "figures", "tables", "timing", "report", "study_record"), 1
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project as in a fresh clone."""
    return project_copy(tmp_path_factory.mktemp("project") / "project")


@pytest.fixture(scope="module")
def default_study(project):
    """The full dry run of the default study and one merged model, with all files."""
    return succeeded(snakemake(project, "-n", "-p", "all", MERGED))


def test_default_study_has_the_papers_grid(default_study):
    assert job_counts(default_study) == {
        "task": 23,
        "task_table": 1,
        "mixture": 1,
        "corpus": 1,
        "tokenizer": 1,
        "pretrained_base": 4,
        "instruction_tuned_base": 4,
        "expert": 64,
        "multitask": 8,
        "draws": 1,
        "reference_scores": 8,
        "merge_scores": 96,
        "merged_model": 1,
        **AFTER_SCORES,
    }
    merges = [file for file in outputs(default_study) if re.search(r"/scores/.*/merges/", file)]
    assert len(merges) == 384


def test_the_list_of_files_in_the_snakefile_matches_the_rules(default_study):
    patterns = listed_files(ROOT / "Snakefile")
    assert len(patterns) > 15
    files = outputs(default_study)
    unnamed = [file for file in files if not any(p.fullmatch(file) for p in patterns.values())]
    assert not unnamed, "files that the list does not name"
    unused = [entry for entry, p in patterns.items() if not any(map(p.fullmatch, files))]
    assert not unused, "entries of the list that no rule makes"


def outputs(dry_run: str) -> list[str]:
    """All files that the jobs of a dry run would write."""
    lines = re.findall(r"^    output: (.+)$", dry_run, flags=re.M)
    return [file for line in lines for file in line.split(", ")]


def listed_files(snakefile: Path) -> dict[str, re.Pattern[str]]:
    """A regular expression for each entry of the list of files at the head of the Snakefile.

    An entry that does not begin with `results/` is in the folder of the first one in its line.
    """
    head = snakefile.read_text(encoding="utf-8").split('"""')[1]
    patterns = {}
    for line in re.findall(r"^  (results/\S+(?:, \S+)*)(?:  |$)", head, flags=re.M):
        first, *others = line.split(", ")
        beside = first.rstrip("/").rpartition("/")[0]
        for entry in (first, *(f"{beside}/{other}" for other in others)):
            patterns[entry] = pattern(entry)
    return patterns


def pattern(entry: str) -> re.Pattern[str]:
    """`{a,b}` is one of these, `{name}` any name in a folder, `...` any path below it."""
    expression = ""
    for part in re.split(r"(\{[^}]*\}|\.\.\.)", entry):
        if part == "...":
            expression += ".+"
        elif "," in part:
            expression += f"({'|'.join(part[1:-1].split(','))})"
        else:
            expression += r"[^/{}]+" if part.startswith("{") else re.escape(part)
    # A folder stands for the files in it; a merged model is a single output.
    return re.compile(re.sub("/$", r"(/[^/{}]+)?", expression))


BAD = {
    "unknown key": ("thraining: {}", ["thraining is not a key", "training"]),
    "count above the categories": ("draws: {counts: [2, 9]}", ["draws.counts holds 9", "1 and 8"]),
    "unknown method": (
        "merging: {methods: {tie: {}}}",
        ["merging.methods.tie is not a method", "averaging", "task_arithmetic", "dare_ties"],
    ),
    "lambda outside its range": (
        "merging: {lambdas: [0.0, 1.5]}",
        ["merging.lambdas holds 1.5", "between 0 and 1"],
    ),
    "wrong type": (
        "training: {expert: {steps: many}}",
        ['training.expert.steps is "many"', "a whole number"],
    ),
}


@pytest.mark.parametrize("text, parts", BAD.values(), ids=BAD.keys())
def test_a_bad_configuration_fails_before_any_job(project, text, parts):
    (project / "bad.yaml").write_text(text)
    run = snakemake(project, "--configfile", "bad.yaml")
    assert run.returncode != 0
    assert "Traceback" not in run.stdout and "Job stats" not in run.stdout
    errors = [line for line in run.stdout.splitlines() if "error" in line.lower()]
    assert len(errors) == 1, run.stdout
    for part in ("bad.yaml", *parts):
        assert part in errors[0]
    made = [*project.glob("logs/*"), *project.glob("results/*/")]
    assert made == []


# The following tests change a finished study.


@pytest.fixture
def finished(smoke_study, tmp_path):
    """A copy of the finished smoke study in another folder."""
    shutil.copytree(smoke_study, tmp_path / "moved", symlinks=True)
    return tmp_path / "moved"


def jobs(folder: Path, overlay: str = "{}") -> dict[str, int]:
    """Jobs that the smoke study would run with an overlay."""
    (folder / "more.yaml").write_text(overlay)
    return job_counts(succeeded(snakemake(folder, "-n", *SMOKE, "more.yaml")))


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(smoke_study):
    before = listing(smoke_study / "results")
    output = succeeded(snakemake(smoke_study, *SMOKE))
    assert "Nothing to be done" in output and job_counts(output) == {}
    assert listing(smoke_study / "results") == before


def listing(folder: Path) -> dict[str, int]:
    """Modification times of all files, in nanoseconds."""
    return {str(f): f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}


@pytest.mark.slow
def test_a_moved_project_has_nothing_to_do(finished):
    assert jobs(finished) == {}


@pytest.mark.slow
def test_another_style_redraws_figures_only(finished):
    style = finished / "config" / "style.yaml"
    text = style.read_text(encoding="utf-8")
    style.write_text(text.replace("line_width: 1.4", "line_width: 2.0"), encoding="utf-8")
    assert style.read_text(encoding="utf-8") != text
    # The report shows the figures.
    assert jobs(finished) == {"figures": 1, "report": 1}


@pytest.mark.slow
def test_one_more_seed_scores_its_draws_only(finished):
    # 2 sizes x 2 bases x 2 counts
    assert jobs(finished, "draws: {seeds: [1, 2]}") == {
        "draws": 1,
        "merge_scores": 8,
        **AFTER_SCORES,
    }


@pytest.mark.slow
def test_one_more_count_scores_its_draws_only(finished):
    assert jobs(finished, "draws: {counts: [2, 3, 4]}") == {
        "draws": 1,
        "merge_scores": 4,
        **AFTER_SCORES,
    }


@pytest.mark.slow
def test_one_more_size_trains_and_scores_that_size_only(finished):
    size = "{hidden_size: 48, layers: 2, heads: 4, intermediate_size: 128}"
    assert jobs(finished, f"models: {{sizes: {{80k: {size}}}}}") == {
        "pretrained_base": 1,
        "instruction_tuned_base": 1,
        "expert": 8,
        "multitask": 2,
        "reference_scores": 2,
        "merge_scores": 4,
        **AFTER_SCORES,
    }


@pytest.mark.slow
def test_one_more_method_trains_nothing(finished):
    add_median(finished)
    assert jobs(finished) == {}, "a file alone is no reason to compute anything"
    # A job scores all methods of a draw; finished evaluations are cached (see the next test).
    assert jobs(finished, "merging: {methods: {median: {}}}") == {
        "merge_scores": 8,
        **AFTER_SCORES,
    }


def add_median(folder: Path) -> None:
    """Add the method of docs/extend/method.md, a file."""
    page = (ROOT / "docs" / "extend" / "method.md").read_text(encoding="utf-8")
    (folder / MEDIAN).write_text(re.findall(r"```python\n(.*?)```", page, flags=re.S)[0])


@pytest.mark.slow
def test_more_methods_use_every_cached_evaluation(tiny_study_run, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(tiny_study_run, folder, symlinks=True)
    results = folder / "results" / "tiny"
    cached = listing(results / ".cache")
    models = listing(results / "models")
    records = files(results, "scores/**/*.json", "predictions/**/*.parquet")
    assert cached and models and len(records) == 2 * (2 * (2 + 2) + 2 * 3)

    add_median(folder)
    overlay = "merging: {methods: {ties: {density: [0.2]}, median: {}}}"
    (folder / "more.yaml").write_text(overlay)
    configuration = ("--configfile", "tests/tiny.yaml", "more.yaml")
    output = succeeded(snakemake(folder, "results/tiny/scores.csv", *configuration))

    assert job_counts(output) == {"merge_scores": 2, "scores": 1}
    assert listing(results / "models") == models
    assert listing(results / ".cache").items() >= cached.items()
    new = set(listing(results / ".cache")) - set(cached)
    # At most: base x method x (lambdas above 0 on each held-in group, the best on each group).
    assert 0 < len(new) <= 2 * 2 * (2 * 5 + 3)
    after = files(results, "scores/**/*.json", "predictions/**/*.parquet")
    assert {name: after[name] for name in records} == records
    added = {Path(name).stem for name in set(after) - set(records)}
    assert added == {"ties", "median"}


def files(folder: Path, *patterns: str) -> dict[str, bytes]:
    """Contents of files by their path in `folder`."""
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
