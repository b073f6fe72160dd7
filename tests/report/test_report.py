"""report.html: one file, nothing from outside, everything in it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_study import finish_study

from mergescale.cli.main import main
from mergescale.figures.registry import figure_names
from mergescale.report import contents
from mergescale.report.page import format_duration, percent

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a synthetic study, made by the commands that the rules call."""
    folder = finish_study(
        tmp_path_factory.mktemp("study"), sizes=("38k", "130k"), counts=(2, 8), zero_task="ropes"
    )
    (folder / "study.json").write_text(
        json.dumps(
            {
                "name": "<small>",
                "sizes": [{"size": "38k", "parameters": 38012, "pt_final_loss": 0.1758}],
                "methods": [{"method": "dare_ties", "lambda": [0.5, 1.0]}],
                "seeds": [0, 1, 2],
                "provenance": {"torch": "2.13.0"},
            }
        )
    )
    (folder / "timing.csv").write_text("part,seconds,jobs\ntraining,90,12\nmerging,30.5,\n")

    def run(command, *names, **flags):
        words = [word for name in names for word in (f"--{name}", folder / f"{name}.csv")]
        words += [word for flag, value in flags.items() for word in (f"--{flag}", value)]
        assert main([command, *map(str, words)]) == 0

    run("figures", "performance", style=ROOT / "config/style.yaml", out=folder / "figures")
    run("tables", "performance", "scores", "tasks", out=folder / "tables")
    run(
        "report",
        *("performance", "scores", "normalized", "tasks"),
        **{"study": folder / "study.json", "timing-table": folder / "timing.csv"},
        **{name: folder / name for name in ("figures", "tables")},
        out=folder / "report.html",
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
    assert {f"figure{name}" for name in figure_names()} <= set(parsed.ids)
    assert {"table1", "table4", "tasks", "noise", "left-out", "timing"} <= set(parsed.ids)


def test_facts_are_shown_and_escaped(page, parsed):
    text = " ".join(" ".join(parsed.text).split())
    assert "Model merging at scale: <small> study" in text and "&lt;small&gt; study" in page
    assert "38,012" in text and "0.176" in text and "2.13.0" in text
    assert "Dare-TIES 0.5, 1.0" in text
    assert "2 min 00 s" in text  # 90 + 30.5 seconds, rounded
    assert "Hellaswag" in text and "Ropes" in text


def test_figures_have_the_captions_of_their_files(parsed):
    text = " ".join(" ".join(parsed.text).split())
    assert "Figure 3. Held-in performance against model size" in text
    assert "Error bars: from the lowest to the highest draw" in text


def test_names_are_labels_and_not_identifiers(parsed):
    text = " ".join(parsed.text)
    assert "Multiple-choice QA" in text and "Accuracy" in text and "held-out" in text
    assert not {"multiple_choice_qa", "dare_ties", "held_out", "task_arithmetic"} & set(
        text.split()
    )


def test_a_job_that_spends_time_on_several_parts_is_one_job(tmp_path):
    (tmp_path / "timing.csv").write_text("part,seconds,jobs\nstart-up,5,12\nother,5,12\n")
    assert contents.time_by_part(tmp_path / "timing.csv")["jobs"] == 12
    (tmp_path / "timing.csv").write_text("part,seconds,jobs\n")
    assert contents.time_by_part(tmp_path / "timing.csv") is None


@pytest.mark.parametrize(
    ("share", "text"), [(0.874, "87%"), (-0.002, "0%"), (-0.3, "-30%"), (float("nan"), "")]
)
def test_percent(share, text):
    assert percent(share) == text


def test_a_provenance_of_any_shape_is_shown():
    assert contents.provenance_facts(None) == []
    (fact,) = contents.provenance_facts({"versions": {"torch": "2.13.0"}})
    assert (fact.label, fact.rows) == ("Versions", [["torch", "2.13.0"]])


def test_what_was_left_out_is_counted(parsed):
    text = " ".join(" ".join(parsed.text).split())
    assert re.search(r"\d+ of [\d,]+ scores have a reference", text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7.25, "7.2 s"), (59.98, "60.0 s"), (125, "2 min 05 s"), (4000, "1 h 06 min")],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text
