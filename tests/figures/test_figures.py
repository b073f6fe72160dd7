"""The figures: what is in them, that they survive small studies, and that bytes repeat."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from matplotlib.text import Text
from synthetic_study import METHODS, SIZES, paper_performance, write_study

from mergescale.analysis import aggregate
from mergescale.analysis import normalize as normalise
from mergescale.figures import data as performance
from mergescale.figures import registry as index
from mergescale.figures import style

ROOT = Path(__file__).parents[2]
STYLE = ROOT / "config" / "style.yaml"


def study(folder, **choices):
    folder.mkdir(parents=True, exist_ok=True)
    write_study(folder, **choices)
    normalise.write(folder / "scores.csv", folder / "draws.csv", folder / "normalised.csv")
    aggregate.write(folder / "normalised.csv", folder / "performance.csv")
    return folder / "performance.csv"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("paper") / "performance.csv"
    path.write_text(paper_performance())
    return path


def drawn(path, name, **order):
    data = performance.load(path, **order)
    look = style.load(STYLE, data)
    with look.active():
        return index.FIGURES[name](data, look, name)


def lines(axes):
    """The labelled lines of a panel: label -> Line2D."""
    return {one.get_label(): one for one in axes.get_lines() if not one.get_label().startswith("_")}


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_figure_1_has_a_spoke_per_method_and_size(published):
    figure = drawn(published, "1b")
    (axes,) = figure.axes
    assert len(axes.get_xticks()) == 5 * 4
    assert set(lines(axes)) == {"PT", "IT"}
    assert len(lines(axes)["IT"].get_xdata()) == 21  # closed
    assert lines(axes)["IT"].get_ydata()[0] == lines(axes)["IT"].get_ydata()[-1] == 0.83
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("Multitask") == 4 and {"1B", "8B", "24B", "64B"} <= set(texts)
    assert "1 = the experts" in legend_texts(figure)


def test_figures_2_and_5_show_three_sizes_and_the_multitask_model(published):
    for name, first in (("2", 1.03), ("5", None)):
        figure = drawn(published, name)
        assert titles(figure) == ["1B", "24B", "64B"]
        for axes in figure.axes:
            assert list(lines(axes)) == ["Task Arithmetic", "TIES", "Multitask"]
        if first:
            assert lines(figure.axes[0])["Task Arithmetic"].get_ydata()[0] == first
        assert legend_texts(figure) == ["Task Arithmetic", "TIES", "Multitask"]


def test_figure_3_tells_bases_by_colour_and_methods_by_marker(published):
    figure = drawn(published, "3")
    assert titles(figure) == ["2 experts", "4 experts", "6 experts", "8 experts"]
    for axes in figure.axes:
        marks = lines(axes)
        assert len(marks) == 8
        assert marks["PT, TIES"].get_color() == marks["PT, Averaging"].get_color()
        assert marks["PT, TIES"].get_color() != marks["IT, TIES"].get_color()
        assert marks["PT, TIES"].get_marker() == marks["IT, TIES"].get_marker()


def test_figure_4_has_the_three_panels_of_the_paper(published):
    figure = drawn(published, "4")
    assert titles(figure) == ["PT, 2 experts", "IT, 2 experts", "IT, 8 experts"]
    assert all(list(lines(axes)) == ["1B", "8B", "24B", "64B"] for axes in figure.axes)


def test_figure_6_has_a_line_per_size(published):
    figure = drawn(published, "6")
    assert titles(figure) == ["PT, held-in", "IT, held-in", "PT, held-out", "IT, held-out"]
    assert list(lines(figure.axes[3])["64B"].get_ydata()) == [1.0, 1.03, 1.06, 1.09]


def test_figure_7_has_a_line_per_method(published):
    figure = drawn(published, "7")
    assert titles(figure) == ["held-in", "held-out"]
    assert all(len(lines(axes)) == 4 for axes in figure.axes)


@pytest.mark.parametrize("name", ["2", "3", "4", "5", "6", "7"])
def test_the_line_at_1_says_what_it_is(published, name):
    figure = drawn(published, name)
    for axes in figure.axes:
        assert any(set(line.get_ydata()) == {1} for line in axes.get_lines())
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert texts & {"experts", "base"}


def test_an_added_method_appears_by_itself(tmp_path):
    path = study(tmp_path, sizes=SIZES[:2], methods=(*METHODS, "slerp_mean"), counts=(2, 4))
    for name in ("1a", "2", "3", "5", "7"):
        figure = drawn(path, name)
        shown = legend_texts(figure) + [t.get_text() for axes in figure.axes for t in axes.texts]
        assert "Slerp Mean" in shown, name
    ticks = [label.get_text() for label in drawn(path, "4").axes[0].get_xticklabels()]
    assert "Slerp Mean" in ticks


def test_a_method_a_base_and_a_size_look_the_same_in_every_figure(published):
    of_method = {lines(drawn(published, n).axes[0])["TIES"].get_color() for n in ("2", "5", "7")}
    of_size = {lines(drawn(published, n).axes[1])["8B"].get_color() for n in ("4", "6")}
    of_base = {
        lines(drawn(published, "1a").axes[0])["PT"].get_color(),
        lines(drawn(published, "3").axes[0])["PT, TIES"].get_color(),
    }
    assert len(of_method) == len(of_size) == len(of_base) == 1
    data = performance.load(published)
    look = style.load(STYLE, data)
    colours = [look.method(m).colour for m in (*data.methods, "multitask")]
    assert len(set(colours)) == 5


ODD = {
    "one of everything": {"sizes": ["1k"], "counts": (2,), "seeds": (0,), "methods": ("ties",)},
    "no pt": {"bases": ("it",)},
    "no it, no multitask": {"bases": ("pt",), "multitask": False},
    "reference 0": {"zero_task": "wic"},
    "many": {
        "sizes": [f"pythia-{n}m" for n in (70, 160, 410, 1000, 1400)],
        "counts": (2, 3, 5, 8),
        "methods": (*METHODS, "slerp", "model_stock", "breadcrumbs"),
    },
}


@pytest.mark.parametrize("choices", ODD.values(), ids=ODD)
def test_no_study_breaks_a_figure_and_all_text_is_inside_and_legible(tmp_path, choices):
    path = study(tmp_path, **{"sizes": SIZES[:2], "counts": (2, 4), "seeds": (0, 1), **choices})
    data = performance.load(path)
    look = style.load(STYLE, data)
    with look.active():
        for name, draw in index.FIGURES.items():
            figure = draw(data, look, name)
            figure.draw_without_rendering()
            drawn_part = figure.get_tightbbox()  # inches
            width, height = figure.get_size_inches()
            assert min(drawn_part.x0, drawn_part.y0) > -0.01, name
            assert drawn_part.x1 < width + 0.01 and drawn_part.y1 < height + 0.01, name
            for text in figure.findobj(Text):
                assert text.get_fontsize() >= 7, (name, text.get_text())


@pytest.mark.parametrize("counts", [(2,), (2, 3, 8)])
def test_no_mark_lies_outside_its_panel(tmp_path, counts):
    path = study(
        tmp_path, sizes=SIZES[:2], counts=counts, methods=(*METHODS, "slerp", "breadcrumbs")
    )
    for name in ("2", "3", "4", "6", "7"):
        for axes in drawn(path, name).axes:
            low, high = axes.get_xlim()
            for line in lines(axes).values():
                assert all(low < x < high for x in line.get_xdata()), name


def test_a_panel_without_data_says_so(tmp_path):
    path = study(tmp_path, sizes=["1k"], bases=("it",), counts=(2,), seeds=(0,))
    figure = drawn(path, "5")
    assert "no results" in [text.get_text() for text in figure.axes[0].texts]


def test_the_order_of_sizes_can_be_given(published):
    figure = drawn(published, "6", sizes=["8B", "64B"])
    assert list(lines(figure.axes[0])) == ["8B", "64B"]


def test_same_input_same_bytes_and_another_style_other_bytes(published, tmp_path):
    settings = yaml.safe_load(STYLE.read_text())
    settings["methods"]["ties"]["colour"] = "#123456"
    changed = tmp_path / "style.yaml"
    changed.write_text(yaml.safe_dump(settings))
    for name, chosen in (("a", STYLE), ("c", changed)):
        index.write(["7"], published, chosen, lambda _, folder=name: tmp_path / folder / "figure7")
    # Once more in a process of its own, where hashes and identities of objects are different.
    script = ROOT / "workflow" / "scripts" / "figure.py"
    files = ["--performance", published, "--style", STYLE, "--out", tmp_path / "b" / "figure7"]
    sizes = ["--sizes", "1B,8B,24B,64B"]
    subprocess.run([sys.executable, script, "--figure", "7", *files, *sizes], check=True)
    for kind in ("svg", "pdf", "png"):
        first, second, other = (
            (tmp_path / name / f"figure7.{kind}").read_bytes() for name in "abc"
        )
        assert first == second, kind
        assert first != other, kind
