"""A path that no rule makes fails with an error that names the wrong part."""

from __future__ import annotations

import re

import pytest

from mergescale_snakemake.targets import requested_paths, target_error

NAMES = {
    "size": ["40k", "120k"],
    "base": ["pt", "it"],
    "draw": ["n2-s1", "n4-s1"],
    "method": ["averaging", "ties"],
    "category": ["sentiment"],
    "task": ["imdb"],
}


@pytest.mark.parametrize(
    "target",
    [
        "all",
        "results",
        "results/smoke/merges/40k/pt/n2-s1/ties",
        "results/smoke/merges/40k/pt/n2-s1/ties/",
        "results/smoke/scores/40k/pt/merges/n2-s1/ties.json",
        "results/smoke/scores/40k/pt/experts/sentiment.json",
        "results/smoke/scores/40k/pt/base.json",
        "results/smoke/models/120k/it/experts/sentiment/model.safetensors",
        "results/smoke/tasks/imdb/test.parquet",
        "results/smoke/tasks.csv",
        "results/smoke/figures/figure1a.png",
    ],
)
def test_good_paths_pass(target):
    assert target_error(target, "smoke", NAMES) == ""


@pytest.mark.parametrize(
    "target, error",
    [
        ("merges/40k/pt/n2-s9/ties", "n2-s9 is not a draw of the study smoke; did you mean n2-s1?"),
        ("merges/40k/pt/n2-s1/tie", "tie is not a method of the study smoke; did you mean ties?"),
        ("merges/9k/pt/n2-s1/ties", "9k is not a size of the study smoke; .*allowed: 40k, 120k"),
        ("scores/40k/xt/base.json", "xt is not a base of the study smoke"),
        ("predictions/40k/pt/merges/n2-s1/tie.parquet", "tie is not a method"),
        ("models/40k/pt/experts/sentimental", "did you mean sentiment?"),
        ("tasks/imbd/test.parquet", "imbd is not a task of the study smoke; did you mean imdb?"),
    ],
)
def test_the_wrong_part_of_a_path_is_named(target, error):
    found = target_error(f"results/smoke/{target}", "smoke", NAMES)
    assert found.startswith(f"results/smoke/{target}: ") and "\n" not in found
    assert re.search(error.replace("?", r"\?"), found)


def test_a_path_of_another_study_asks_for_its_configuration():
    found = target_error("results/default/tables/table1.md", "smoke", NAMES)
    assert "belongs to the study default" in found and "--configfile" in found


def test_values_of_options_are_not_targets():
    arguments = ["-n", "results/a", "--report", "results/b.html", "--dry-run", "results/c", "all"]
    assert requested_paths(arguments) == ["results/a", "results/c"]
