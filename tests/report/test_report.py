"""report.html: one file, nothing from outside, everything in it."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_study import write_study

from mergescale.analysis import aggregate
from mergescale.analysis import normalize as normalise
from mergescale.report import figure_section as figures
from mergescale.report import table_section as results
from mergescale.report import timing_section as timing
from mergescale.report import uncertainty_section as noise

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Balance(HTMLParser):
    """Collects identifiers and links, and fails on tags that do not close."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if tag == "a" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style",):
            self.text.append(data)


def script(name, *arguments):
    subprocess.run([sys.executable, str(SCRIPTS / name), *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = write_study(
        tmp_path_factory.mktemp("study"), sizes=("38k", "130k"), counts=(2, 8), zero_task="ropes"
    )
    performance = folder / "performance.csv"
    normalise.write(folder / "scores.csv", folder / "draws.csv", folder / "normalised.csv")
    aggregate.write(folder / "normalised.csv", performance)
    inputs = ["--performance", performance]
    script(
        "figure.py",
        "--figure",
        "all",
        *inputs,
        "--style",
        ROOT / "config/style.yaml",
        "--outdir",
        folder / "figures",
    )
    inputs += ["--scores", folder / "scores.csv", "--tasks", folder / "tasks.csv"]
    script("tables.py", *inputs, "--sizes", "38k,130k", "--outdir", folder / "tables")
    (folder / "study.json").write_text(
        json.dumps(
            {
                "title": "A <small> study",
                "sizes": [{"name": "38k", "parameters": 38012}],
                "seeds": [0, 1, 2],
                "provenance": {"torch": "2.13.0"},
            }
        )
    )
    (folder / "timing.csv").write_text("stage,seconds,jobs\ntraining,90,12\nmerging,30.5,\n")
    script(
        "report.py",
        "--study",
        folder / "study.json",
        *inputs,
        "--normalised",
        folder / "normalised.csv",
        "--figures",
        folder / "figures",
        "--tables",
        folder / "tables",
        "--timing",
        folder / "timing.csv",
        "--out",
        folder / "report.html",
    )
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def parsed(page):
    reader = Balance()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_needs_nothing_from_outside(page):
    assert not re.search(r"https?:|//cdn|@import|<script|<link|<img", page)
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {
        f"#{one}" for one in re.findall(r'id="([^"]+)"', page)
    }


def test_the_contents_lead_to_every_section(parsed):
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link.removeprefix("#") for link in parsed.links} <= set(parsed.ids)
    assert {f"figure{name}" for name in figures.FIGURES} <= set(parsed.ids)
    assert {"table1", "table4", "tasks", "noise", "left-out", "timing"} <= set(parsed.ids)


def test_facts_are_shown_and_escaped(page, parsed):
    text = " ".join(parsed.text)
    assert "A <small> study" in text and "A &lt;small&gt; study" in page
    assert "38,012" in text and "2.13.0" in text
    assert "2 min 00 s" in text  # 90 + 30.5 seconds, rounded
    assert "Hellaswag" in text and "Ropes" in text


def test_what_was_left_out_is_counted(parsed):
    text = " ".join(parsed.text)
    assert re.search(r"\d+ of [\d,]+ scores have a reference", text)


def test_cells_whose_draws_cannot_differ_are_not_called_noise(tmp_path):
    from mergescale.analysis import tidy_tables as records

    study = write_study(tmp_path, sizes=("38k",), counts=(2, 8))
    normalise.write(study / "scores.csv", study / "draws.csv", study / "normalised.csv")
    assert noise.varied_counts(records.read(study / "normalised.csv", records.NORMALISED)) == [2]


def test_share_and_chance():
    assert results.share(0.625, 0.25, 1.0) == 0.5
    assert results.share(0.5, 0.5, 0.5) != results.share(0.5, 0.5, 0.5)  # not a number
    # 100 rows at chance 0.5: standard error 0.05.
    assert results.beats_chance(0.61, 0.5, 100)
    assert not results.beats_chance(0.59, 0.5, 100)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7.25, "7.2 s"), (59.98, "60.0 s"), (125, "2 min 05 s"), (4000, "1 h 06 min")],
)
def test_durations(seconds, text):
    assert timing.duration(seconds) == text


def test_captions_exist_for_every_figure_and_table():
    for name in (*(f"figure{n}" for n in figures.FIGURES), *(f"table{n}" for n in "1234"), "tasks"):
        assert len(figures.caption(name)) > 40
