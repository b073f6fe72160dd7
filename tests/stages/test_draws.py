"""Which categories a draw merges."""

import csv
from itertools import combinations
from math import comb

import pytest

from mergescale.cli.main import main
from mergescale.stages.draws import draw_sets, find_repeats, write_draws

NAMES = list("abcdefgh")


def test_draws_keep_the_given_order_and_have_the_given_number():
    draws = draw_sets(range(1, 9), range(5), NAMES)
    assert list(draws) == [(count, seed) for count in range(1, 9) for seed in range(5)]
    for (count, _), drawn in draws.items():
        assert len(set(drawn)) == count and list(drawn) == sorted(drawn)


def test_the_order_of_categories_does_not_decide_which_are_drawn():
    draws, reverse = (draw_sets([3, 8], [1, 2], names) for names in (NAMES, NAMES[::-1]))
    assert {key: set(drawn) for key, drawn in draws.items()} == {
        key: set(drawn) for key, drawn in reverse.items()
    }
    assert reverse[8, 1] == tuple(NAMES[::-1])


@pytest.mark.parametrize("count", range(1, 9))
def test_no_set_is_drawn_twice_before_all_are_drawn(count):
    sets = comb(8, count)
    draws = list(draw_sets([count], range(2 * sets), NAMES).values())
    every = set(combinations(NAMES, count))
    assert set(draws[:sets]) == set(draws[sets:]) == every


def test_every_category_is_drawn_about_equally_often():
    found = [
        category
        for start in range(0, 400, 4)
        for drawn in draw_sets([2], range(start, start + 4), NAMES).values()
        for category in drawn
    ]
    assert all(60 < found.count(name) < 140 for name in NAMES)


def test_added_counts_and_seeds_leave_the_other_draws_as_they_are(tmp_path):
    few, many = draw_sets([2], [1], NAMES), draw_sets([2, 4], [1, 2, 3], NAMES)
    assert few.items() <= many.items()
    write_draws(tmp_path / "draws.csv", few)
    with (tmp_path / "draws.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["count", "seed", "categories"],
            ["2", "1", ";".join(few[2, 1])],
        ]


@pytest.mark.parametrize("count", [0, 9])
def test_more_than_there_are_cannot_be_drawn(count):
    with pytest.raises(ValueError, match=f"a draw cannot take {count} of 8 categories"):
        draw_sets([count], [1], NAMES)


def test_seeds_that_repeat_a_set_are_named_in_one_line(tmp_path, capsys):
    seeds = range(1, 12)
    assert find_repeats(draw_sets([8], seeds, NAMES)) == [(8, [*seeds])]
    assert find_repeats(draw_sets([1], seeds, NAMES))[0][0] == 1
    assert find_repeats(draw_sets([1, 4], range(8), NAMES)) == []
    arguments = ["draws", "--counts", "4", "8", "--seeds", "1", "2", "--categories", *NAMES]
    assert main([*arguments, "--out", str(tmp_path / "draws.csv")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mergescale: there are fewer sets") and line.endswith("n=8 seeds 1, 2")
    assert len((tmp_path / "draws.csv").read_text().splitlines()) == 5
