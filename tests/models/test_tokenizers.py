"""The word tokenizer, and how prompts and answers become token ids."""

import pytest
import tiny_study
from transformers import AutoTokenizer

from mergescale.models.from_scratch import BEGIN, END, PAD, UNKNOWN, train_word_tokenizer
from mergescale.models.tokenizers import Encoder


@pytest.fixture(scope="module")
def words():
    return tiny_study.tokenizer()


@pytest.fixture
def encoder(words):
    return Encoder(words, max_length=8)


class WithoutBegin:
    """A tokenizer like Qwen's, without a begin token: here, one id for each character."""

    bos_token_id = None
    eos_token_id = 0
    pad_token_id = None

    def __call__(self, texts, add_special_tokens):
        assert add_special_tokens is False
        return {"input_ids": [[ord(c) for c in text] for text in texts]}


def test_equal_texts_give_equal_bytes_whatever_their_order(tmp_path):
    for name, texts in (("one", tiny_study.SENTENCES), ("two", tiny_study.SENTENCES[::-1])):
        train_word_tokenizer(texts).save_pretrained(tmp_path / name)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_special_tokens_come_first_and_frequent_words_next():
    words = train_word_tokenizer(["b a c", "c a", "c"])
    assert words.convert_ids_to_tokens(range(7)) == [UNKNOWN, BEGIN, END, PAD, "c", "a", "b"]
    assert (words.bos_token_id, words.eos_token_id, words.pad_token_id) == (1, 2, 3)


def test_words_are_lower_cased(encoder):
    assert encoder.answers(["THE Cat"]) == encoder.answers(["the cat"])
    assert words_of(encoder, "THE Cat") == ["the", "cat"]


def test_unknown_words_become_the_unknown_token(encoder):
    assert words_of(encoder, "the zebra") == ["the", UNKNOWN]


def test_punctuation_is_a_token_of_its_own(encoder):
    assert words_of(encoder, "Is it blue?") == ["is", "it", "blue", "?"]


def test_decoded_text_has_blanks_between_words_and_none_before_punctuation(encoder):
    text = "a dog runs to the garden, and a bird sings."
    assert encoder.text(encoder.answers([text])[0]) == text


def test_decoded_text_leaves_special_tokens_out(encoder):
    ids = encoder.documents(["the cat"])[0]
    assert encoder.text(ids) == "the cat"
    assert encoder.text([]) == ""


def test_a_saved_tokenizer_is_the_same_after_loading(tmp_path, words, encoder):
    words.save_pretrained(tmp_path)
    loaded = Encoder(AutoTokenizer.from_pretrained(tmp_path), 8)
    text = "What is the color of the Zebra?"
    assert loaded.prompts([text]) == encoder.prompts([text])
    assert loaded.text(loaded.prompts([text])[0]) == encoder.text(encoder.prompts([text])[0])
    assert loaded.digest() == encoder.digest()


def test_the_digest_tells_tokenizers_apart(encoder):
    other = Encoder(train_word_tokenizer(["other words"]), 8)
    assert other.digest() != encoder.digest()


def test_prompts_begin_answers_do_not_documents_begin_and_end(encoder):
    prompt, answer, document = (
        make(["the cat"])[0] for make in (encoder.prompts, encoder.answers, encoder.documents)
    )
    assert prompt == [encoder.tokenizer.bos_token_id, *answer]
    assert document == [*prompt, encoder.end]
    assert len(answer) == 2


def test_no_texts_give_no_ids(encoder):
    assert encoder.prompts([]) == encoder.answers([]) == encoder.documents([]) == []


def test_a_prompt_that_fits_is_left_whole(encoder):
    prompt = [1, 10, 11, 12, 13]
    assert encoder.cut(prompt, 3) == prompt


@pytest.mark.parametrize("answer", [1, 2, 4, 6])
def test_a_long_prompt_loses_its_left_but_not_the_begin_token(encoder, answer):
    prompt = [1, *range(10, 30)]
    cut = encoder.cut(prompt, answer)
    assert len(cut) + answer == encoder.max_length
    assert cut[0] == 1
    assert cut[1:] == prompt[len(prompt) - len(cut) + 1 :]


@pytest.mark.parametrize("answer", [7, 8, 12])
def test_an_answer_is_never_cut_and_something_stays_before_it(encoder, answer):
    assert encoder.cut([1, 10, 11, 12], answer) == [1]
    assert Encoder(WithoutBegin(), 8).cut([10, 11, 12], answer) == [12]


def test_without_a_begin_token_prompts_still_have_a_token():
    encoder = Encoder(WithoutBegin(), 8)
    assert encoder.prompts(["ab", ""]) == [[97, 98], [0]]
    assert encoder.cut([97, 98, 99], 6) == [98, 99]
    assert encoder.pad == encoder.end


def words_of(encoder, text):
    return encoder.tokenizer.convert_ids_to_tokens(encoder.answers([text])[0])
