"""What the documentation names is there: links, files, targets, keys, commands, paths."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, project_copy, snakemake, succeeded

from mergescale import config
from mergescale.analysis import tidy_tables as records
from mergescale.cli.main import parse

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "config" / "README.md",
    ROOT / "results" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDY = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
LOOK_INSIDE = (ROOT / "docs" / "look_inside.md").read_text(encoding="utf-8")
WIDTH = 100
RESULTS = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
# Files that a page tells its reader to write.
TO_BE_WRITTEN = {
    word
    for page in PAGES
    for word in re.findall(r"`([^`\s]+)`:\n+```", page.read_text(encoding="utf-8"))
}
# Pages that are generated, with examples as they are.
GENERATED = {"docs/micro_world.md", "docs/mixture.md"}
SIZE = next(iter(config.load(ROOT / "config" / "config.yaml")["models"]["sizes"]))
MERGED = f"results/default/merges/{SIZE}/it/n2-s1/ties"
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(text: str) -> list[str]:
    """The lines of the shell blocks of a page, without comments."""
    found = re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S)
    lines = [line for block in found for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def code(page: Path) -> list[str]:
    """Everything on a page that is marked as code: shell lines and what stands in backticks."""
    return [*commands(page.read_text(encoding="utf-8")), *re.findall(r"`([^`\n]+)`", prose(page))]


def test_the_parameters_of_each_method_are_those_that_it_declares():
    from mergescale.merging.registry import all_methods

    page = (ROOT / "docs" / "merging.md").read_text(encoding="utf-8")
    listed = page[page.index("### Parameters of each method") :].split("\n###")[0]
    for name, method in all_methods().items():
        required = [f"`{p.name}`" for p in method.parameters if len(p.values) > 1]
        optional = [
            f"`{p.name}` {p.values[0]}"
            for p in method.parameters
            if len(p.values) == 1 and not p.fixed
        ]
        row = f"| `{name}` | {', '.join(required)} | {', '.join(optional)} |".replace("|  |", "| |")
        assert row.replace("|  |", "| |") in listed, row


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"https?://|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target


@each_page
def test_files_that_pages_name_are_there(page):
    folders = ("workflow", "config", "tests", "docs", "envs", "notebooks", "profiles")
    for word in re.findall(r"`([^`\s]+)`", prose(page)):
        if word.startswith(tuple(f"{folder}/" for folder in folders)) and "<" not in word:
            assert (ROOT / word).exists() or word in TO_BE_WRITTEN, word


@each_page
def test_make_targets_are_there(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.M))
    for line in code(page):
        for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", line.partition("#")[0]):
            assert target in targets, line


@each_page
def test_commands_of_the_library_parse(page):
    for line in commands(page.read_text(encoding="utf-8")):
        if line.startswith("mergescale "):
            words = shlex.split(line.replace("$R", "results/default").replace("$S", SIZE), True)
            assert parse(words[1:]), line


@each_page
def test_prose_is_wrapped_at_one_width(page):
    if str(page.relative_to(ROOT)) in GENERATED:
        return
    for line in prose(page).splitlines():
        unbreakable = line.startswith("|") or "](" in line or " " not in line.strip()
        assert len(line) <= WIDTH or unbreakable, line


@each_page
def test_cores_get_a_value(page):
    for line in commands(page.read_text(encoding="utf-8")):
        assert not re.search(r"--cores(?! (all|\d+)\b)", line), line


def test_keys_of_the_configuration_are_there():
    table = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    keys = {re.sub("<.*?>", "<>", key) for key in re.findall(r"^\| `([^`]+)` \|", table, re.M)}
    tops = {key.partition(".")[0] for key in keys}
    named = re.findall(r"`([a-z_]+(?:\.[a-z_<>]+)+)`", README + STUDY + RESULTS)
    keys |= {key.replace(".pretrain", ".<>") for key in keys}  # a stage of training
    checked = [name for name in named if name.partition(".")[0] in tops and name.count(".")]
    checked = [name for name in checked if not name.endswith((".csv", ".json", ".parquet"))]
    assert len(checked) > 10
    for name in checked:
        assert re.sub("<.*?>", "<>", name) in keys, name


# The paths of results, against what Snakemake would make.


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> dict[str, set[str]]:
    """All files of the default study and one merged model, by rule, from a dry run.

    The study has one more method, which needs statistics files of the experts.
    """
    folder = project_copy(tmp_path_factory.mktemp("docs") / "project")
    overlay = folder / "with_fisher.yaml"
    overlay.write_text("merging: {methods: {fisher: {}}}")
    call = ("-n", "--printshellcmds", "all", MERGED, "--configfile", str(overlay))
    report = succeeded(snakemake(folder, *call))
    found: dict[str, set[str]] = {}
    for rule, job in re.findall(r"^rule (\w+):\n((?:    .*\n)+)", report, flags=re.M):
        files = re.findall(r"^    output: (.+)$", job, flags=re.M)
        made = {file for line in files for file in line.split(", ")}
        found.setdefault(rule.removesuffix("_of_largest"), set()).update(made)
    return found


def table_of_files() -> list[tuple[str, list[re.Pattern[str]]]]:
    """(rule, patterns of its files) for each row of the table in results/README.md."""
    rows = re.findall(r"^\| (`\{study\}.*?) \| `(\w+)` \|", RESULTS, flags=re.M)
    table = []
    for cell, rule in rows:
        first, *others = re.findall(r"`([^`]+)`", cell)
        beside, stem = first.rpartition("/")[0], first.rpartition(".")[0]
        others = [stem + o if o.startswith(".") else f"{beside}/{o}" for o in others]
        table.append((rule, [pattern(entry) for entry in (first, *others)]))
    return table


def pattern(entry: str) -> re.Pattern[str]:
    """`{name}` is anything within a folder; an entry that ends in `/` is a folder and its files."""
    parts = re.split(r"(\{\w+\})", entry.removesuffix("/"))
    expression = "".join(r"[^/]+" if p.startswith("{") else re.escape(p) for p in parts)
    return re.compile(f"results/{expression}" + ("(/[^/]+)?" if entry.endswith("/") else ""))


def test_the_table_of_files_is_that_of_the_rules(outputs):
    table = table_of_files()
    assert {rule for rule, _ in table} == outputs.keys() - {"all"}
    for rule, patterns in table:
        for one in patterns:
            assert any(map(one.fullmatch, outputs[rule])), f"{rule} makes no {one.pattern}"
    for rule, files in outputs.items():
        known = [one for name, patterns in table if name == rule for one in patterns]
        unnamed = [file for file in files if not any(one.fullmatch(file) for one in known)]
        assert not unnamed, f"results/README.md does not name what {rule} makes"


def test_paths_of_results_are_those_of_the_rules(outputs):
    files = {file for made in outputs.values() for file in made}
    known = files | {str(folder) for file in files for folder in Path(file).parents}
    for page in (ROOT / "README.md", ROOT / "results" / "README.md", ROOT / "docs/look_inside.md"):
        for line in code(page):
            line = line.replace("$R", "results/default").replace("$S", SIZE)
            for path in re.findall(r"(?<![\w/.])results/default[\w/.-]*", line):
                assert path.rstrip("/.") in known, line


@pytest.mark.parametrize(
    "name, columns",
    [
        ("scores.csv", records.SCORES),
        ("normalized.csv", records.NORMALIZED),
        ("performance.csv", records.PERFORMANCE),
        ("draws.csv", records.DRAWS),
        ("timing.csv", records.TIMING),
    ],
)
def test_columns_are_those_of_the_tidy_files(name, columns):
    assert f"**`{name}`**: `{', '.join(columns)}`" in RESULTS


@pytest.mark.slow
def test_the_lines_that_look_inside_work(smoke_study):
    export, study, size, *lines = commands(LOOK_INSIDE.partition("Merged models are made")[0])
    assert export.startswith("export PATH=") and study.startswith("R=results/default")
    python = Path(sys.executable).parent
    setup = [f'export PATH="{python}:$PATH" HF_HUB_OFFLINE=1', "R=results/smoke", size]
    assert len(lines) > 15
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    for line in lines:
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join([*setup, line])],
            cwd=smoke_study,
            env=environment(smoke_study) | threads,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0 and run.stdout.strip(), f"{line}\n{run.stdout}{run.stderr}"
