"""The figures: what is in them, that they survive small studies, and that bytes repeat."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from matplotlib.text import Text
from synthetic_study import METHODS, SIZES, finish_study, paper_performance

from mergescale.analysis.labels import method_label
from mergescale.figures.data import load_performance
from mergescale.figures.registry import figure_names, load_figure, render_caption, write_figures
from mergescale.figures.style import load_style, new_figure

ROOT = Path(__file__).parents[2]
STYLE = ROOT / "config" / "style.yaml"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("paper") / "performance.csv"
    path.write_text(paper_performance())
    return path


def study(folder, **choices):
    """performance.csv of a synthetic study."""
    return finish_study(folder, **choices) / "performance.csv"


def drawn(path, name, **order):
    """A figure of a performance.csv."""
    performance = load_performance(path, **order)
    style = load_style(STYLE, performance)
    with style.active():
        module = load_figure(name)
        figure = new_figure(module.SIZE)
        module.draw(figure, performance, style)
        return figure


def caption(path, name):
    return render_caption(name, load_performance(path))


def lines(axes):
    """The labeled lines of a panel: label -> Line2D."""
    return {one.get_label(): one for one in axes.get_lines() if not one.get_label().startswith("_")}


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def shown_texts(figure):
    return {t.get_text() for axes in figure.axes for t in axes.texts} | set(legend_texts(figure))


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


def test_figure_1_has_a_band_in_the_legend_only_where_one_is_drawn(published, tmp_path):
    assert "lowest to highest draw" not in legend_texts(drawn(published, "1a"))
    assert "lowest to highest draw" in legend_texts(drawn(study(tmp_path), "1a"))


def test_figures_2_and_5_show_three_sizes_and_the_multitask_model(published):
    for name, first in (("2", 1.03), ("5", None)):
        figure = drawn(published, name)
        assert titles(figure) == ["1B", "24B", "64B"]
        for axes in figure.axes:
            assert list(lines(axes)) == ["Task Arithmetic", "TIES", "Multitask"]
        if first:
            assert lines(figure.axes[0])["Task Arithmetic"].get_ydata()[0] == first
        assert legend_texts(figure) == ["Task Arithmetic", "TIES", "Multitask"]


def test_figure_3_shows_bases_by_color_and_methods_by_marker(published):
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


def test_an_added_method_appears_by_itself_under_its_title(tmp_path):
    path = study(tmp_path, sizes=SIZES[:2], methods=(*METHODS, "model_stock"), counts=(2, 4))
    title = method_label("model_stock")
    for name in ("1a", "2", "3", "5", "7"):
        assert title in shown_texts(drawn(path, name)), name
    ticks = [label.get_text() for label in drawn(path, "4").axes[0].get_xticklabels()]
    assert title in ticks


def test_a_method_a_base_and_a_size_look_the_same_in_every_figure(published):
    of_method = {lines(drawn(published, n).axes[0])["TIES"].get_color() for n in ("2", "5", "7")}
    of_size = {lines(drawn(published, n).axes[1])["8B"].get_color() for n in ("4", "6")}
    of_base = {
        lines(drawn(published, "1a").axes[0])["PT"].get_color(),
        lines(drawn(published, "3").axes[0])["PT, TIES"].get_color(),
    }
    assert len(of_method) == len(of_size) == len(of_base) == 1
    performance = load_performance(published)
    style = load_style(STYLE, performance)
    colors = [style.method(m).color for m in (*performance.methods, "multitask")]
    assert len(set(colors)) == 5


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
    performance = load_performance(path)
    style = load_style(STYLE, performance)
    with style.active():
        for name in figure_names():
            module = load_figure(name)
            figure = new_figure(module.SIZE)
            module.draw(figure, performance, style)
            assert len(render_caption(name, performance)) > 100
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


def test_captions_say_which_sizes_are_left_out_and_what_error_bars_are(published, tmp_path):
    assert "without 8B" in caption(published, "2") and "without 8B" in caption(published, "5")
    assert "instruction-tuned" in caption(published, "2") and "pre-trained" in caption(
        published, "5"
    )
    assert "(2)" in caption(published, "1a") and "(8)" in caption(published, "1b")
    assert not any("Error bars" in caption(published, name) for name in figure_names())
    path = study(tmp_path, sizes=SIZES[:2])
    assert "without" not in caption(path, "2")
    assert all("Error bars" in caption(path, name) for name in ("2", "3", "4", "5", "6", "7"))


def test_figures_are_found_by_their_files_in_reading_order():
    assert figure_names() == ["1a", "1b", "2", "3", "4", "5", "6", "7"]
    with pytest.raises(ValueError, match="9 is not a figure; the figures are 1a, "):
        load_figure("9")


def test_the_workflow_lists_figures_without_importing_matplotlib():
    code = (
        "import sys; from mergescale.figures.registry import figure_names; figure_names();"
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'pandas', 'numpy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("font_size: 8", "font_siz: 8", "font_siz is not a key of .*; did you mean font_size?"),
        ("png_dpi: 220\n", "", "style.yaml has no key png_dpi"),
        ("ties: {color:", "ties: {colr:", "methods.ties.colr is not a key of .*mean .*color"),
        ('pt: {color: "#E69F00"}', 'pt: "#E69F00"', "bases.pt must be a mapping"),
    ],
)
def test_a_mistake_in_the_style_is_one_line_that_names_it(published, tmp_path, old, new, message):
    text = STYLE.read_text()
    assert old in text
    (tmp_path / "style.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as error:
        load_style(tmp_path / "style.yaml", load_performance(published))
    assert "\n" not in str(error.value)


def test_the_style_may_set_the_size_of_a_figure(published, tmp_path):
    text = STYLE.read_text().replace("figure_sizes: {}", 'figure_sizes: {"7": [3, 2]}')
    (tmp_path / "style.yaml").write_text(text)
    style = load_style(tmp_path / "style.yaml", load_performance(published))
    assert list(style.figure_size("7", (6, 3))) == [3, 2]
    assert style.figure_size("3", (6, 3)) == (6, 3)


def test_same_input_same_bytes_and_another_style_other_bytes(published, tmp_path):
    settings = yaml.safe_load(STYLE.read_text())
    settings["methods"]["ties"]["color"] = "#123456"
    changed = tmp_path / "style.yaml"
    changed.write_text(yaml.safe_dump(settings))
    for name, style in (("a", STYLE), ("c", changed)):
        write_figures(["7"], published, style, tmp_path / name)
    # Once more in a process of its own, where hashes and identities of objects are different.
    files = ["--performance", published, "--style", STYLE, "--out", tmp_path / "b"]
    words = ["--figures", "7", *files, "--sizes", "1B", "8B", "24B", "64B"]
    subprocess.run([sys.executable, "-m", "mergescale", "figures", *words], check=True)
    for kind in ("svg", "pdf", "png"):
        first, second, other = (
            (tmp_path / name / f"figure7.{kind}").read_bytes() for name in "abc"
        )
        assert first == second, kind
        assert first != other, kind
