"""Which categories a draw merges."""

import csv
from itertools import combinations

import pytest

from mergescale.cli.main import main
from mergescale.stages.draws import draw, find_repeats, write_draws

NAMES = list("abcdefgh")


def test_a_draw_is_a_function_of_count_seed_and_categories():
    assert draw(3, 1, NAMES) == draw(3, 1, NAMES)
    assert len({draw(4, seed, NAMES) for seed in range(8)}) > 4
    assert len({draw(count, 1, NAMES) for count in range(1, 9)}) == 8


def test_a_draw_of_all_is_all_and_every_draw_keeps_the_given_order():
    for seed in range(5):
        assert draw(8, seed, NAMES) == tuple(NAMES)
        for count in range(1, 8):
            chosen = draw(count, seed, NAMES)
            assert len(set(chosen)) == count and list(chosen) == sorted(chosen)


def test_the_order_of_categories_does_not_decide_which_are_drawn():
    assert set(draw(3, 2, NAMES)) == set(draw(3, 2, NAMES[::-1]))
    assert draw(8, 2, NAMES[::-1]) == tuple(NAMES[::-1])


def test_every_category_is_drawn_about_equally_often():
    found = [category for seed in range(400) for category in draw(2, seed, NAMES)]
    assert all(60 < found.count(name) < 140 for name in NAMES)
    assert {draw(2, seed, NAMES) for seed in range(400)} == set(combinations(NAMES, 2))


def test_draws_do_not_depend_on_the_other_counts_and_seeds(tmp_path):
    write_draws(tmp_path / "few.csv", [2], [1], NAMES)
    write_draws(tmp_path / "many.csv", [2, 4], [1, 2], NAMES)
    few, many = (list(csv.reader((tmp_path / n).open(newline=""))) for n in ("few.csv", "many.csv"))
    assert few == [["count", "seed", "categories"], ["2", "1", ";".join(draw(2, 1, NAMES))]]
    assert few[1] in many and [row[:2] for row in many[1:]] == [
        ["2", "1"],
        ["2", "2"],
        ["4", "1"],
        ["4", "2"],
    ]


def test_more_than_there_are_cannot_be_drawn():
    with pytest.raises(ValueError):
        draw(9, 1, NAMES)


def test_seeds_that_repeat_a_set_are_named_in_one_warning(tmp_path, capsys):
    seeds = range(1, 12)
    for count, group in find_repeats([1, 8], seeds, NAMES):
        assert len({draw(count, seed, NAMES) for seed in group}) == 1 < len(group)
    assert find_repeats([8], seeds, NAMES) == [(8, [*seeds])]
    assert find_repeats([4], [1], NAMES) == []
    arguments = ["draws", "--counts", "4", "8", "--seeds", "1", "2", "--categories", *NAMES]
    assert main([*arguments, "--out", str(tmp_path / "draws.csv")]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("mergescale: warning: ") and warning.endswith(": n=8 seeds 1, 2")
    assert len((tmp_path / "draws.csv").read_text().splitlines()) == 5
