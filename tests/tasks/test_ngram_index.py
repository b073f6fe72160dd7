"""The index of n-grams finds what a plain search finds."""

from __future__ import annotations

from mergescale.tasks.ngram_overlap import NgramIndex, words, words_with_underscores

TEXT = "a heron stood on one leg beside the old mill while rain fell over the quiet valley"


def test_words_are_lower_case_runs_of_letters_and_digits():
    assert words("It's 3_4, _ Né!") == ["it", "s", "3", "4", "né"]
    assert words_with_underscores("It's 3_4, _ Né!") == ["it", "s", "3_4", "_", "né"]


def test_the_first_row_with_the_n_gram_is_found():
    index = NgramIndex([["unrelated", "text"], [TEXT], [TEXT]])
    (overlap,) = index.search([[f"Look: {TEXT}."]]).values()
    assert overlap.row == 1 and overlap.ngram == " ".join(words(TEXT)[:13])
    assert index.contains([TEXT]) and not index.contains([" ".join(words(TEXT)[:12])])
    assert not NgramIndex([]).contains([TEXT])
    assert not NgramIndex([["too short"]]).contains([TEXT])


def test_n_grams_do_not_extend_over_texts():
    half = words(TEXT)[:8], words(TEXT)[8:]
    assert not NgramIndex([[TEXT]]).contains([" ".join(part) for part in half])
    assert not NgramIndex([[" ".join(part) for part in half]]).contains([TEXT])


def test_a_blank_is_a_word_where_underscores_are():
    blank = TEXT.replace("leg", "_")
    for split_words, equal in ((words, False), (words_with_underscores, True)):
        index = NgramIndex([[blank]], length=10, split_words=split_words)
        assert index.contains(["stood on one _ beside the old mill while rain"]) == equal


def test_n_grams_can_be_removed():
    index = NgramIndex([[TEXT], ["one two three four five six seven eight nine ten eleven 12 13"]])
    index.remove(index.hashes[index.rows == 0])
    assert not index.contains([TEXT])
    assert index.contains(["one two three four five six seven eight nine ten eleven 12 13"])
