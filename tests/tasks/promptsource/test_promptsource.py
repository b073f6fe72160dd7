"""promptsource's templates: all of them render, faults are named, and nothing is left to chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mergescale.tasks.promptsource import PromptsourceTemplate, Rendered, load_templates

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
TEMPLATES = DATA / "promptsource"

needs_templates = pytest.mark.skipif(
    not TEMPLATES.is_dir(), reason="promptsource's templates are not in ../shared/data here"
)

# Datasets whose rows are in ../shared/data: folder by promptsource's name.
ROWS = {
    "adversarial_qa/adversarialQA": "adversarial_qa",
    "adversarial_qa/dbert": "adversarial_qa",
    "adversarial_qa/dbidaf": "adversarial_qa",
    "adversarial_qa/droberta": "adversarial_qa",
    "ag_news": "ag_news",
    "anli": "anli",
    "app_reviews": "app_reviews",
    "cnn_dailymail/3.0.0": "cnn_dailymail",
    "common_gen": "common_gen",
    "cosmos_qa": "cosmos_qa",
    "dream": "dream",
    "glue/mrpc": "glue_mrpc",
    "glue/qqp": "glue_qqp",
    "imdb": "imdb",
    "kilt_tasks/hotpotqa": "kilt_hotpotqa",
    "ropes": "ropes",
    "super_glue/copa": "super_glue_copa",
    "super_glue/rte": "super_glue_rte",
    "super_glue/wic": "super_glue_wic",
    "super_glue/wsc.fixed": "super_glue_wsc.fixed",
    "wiki_qa": "wiki_qa",
    "xsum": "xsum",
}
# The others: one row each, with the hub's columns, which hf_infos tells by file and configuration.
STUBS = {
    "dbpedia_14": ("dbpedia_14", "dbpedia_14"),
    "hellaswag": ("hellaswag", "default"),
    "hotpot_qa/distractor": ("hotpot_qa", "distractor"),
    "hotpot_qa/fullwiki": ("hotpot_qa", "fullwiki"),
    "wiki_bio": ("wiki_bio", "default"),
    "winogrande/winogrande_xl": ("winogrande", "winogrande_xl"),
}
# What text cannot stand for where the template computes with it.
SPECIAL = {
    "hellaswag": {"label": "1"},
    "winogrande": {"sentence": "The cup fell off the _ .", "answer": "1"},
    "wiki_bio": {
        "input_text": {
            "context": "ada",
            "table": {
                "column_header": ["name", "born"],
                "row_number": [1, 1],
                "content": ["Ada", "1815"],
            },
        }
    },
}


def stub(feature: dict | list, name: str):
    """A value of a column as the hub describes it."""
    if isinstance(feature, list):
        return [stub(feature[0], name), stub(feature[0], f"other {name}")]
    kind = feature.get("_type")
    if kind == "ClassLabel":
        return 1
    if kind == "Sequence":
        inner = feature["feature"]
        if "_type" not in inner:  # a sequence of mappings is a mapping of sequences
            return {key: [stub(value, key), stub(value, key)] for key, value in inner.items()}
        return [stub(inner, name), stub(inner, f"other {name}")]
    if kind == "Value":
        return f"some {name}" if feature["dtype"] == "string" else 0
    return {key: stub(value, key) for key, value in feature.items()}


def stubbed_row(path: str) -> dict:
    file, subset = STUBS[path]
    features = json.loads((DATA / "hf_infos" / f"{file}.json").read_text())[subset]["features"]
    return {name: stub(feature, name) for name, feature in features.items()} | SPECIAL.get(file, {})


def validation_rows(path: str, number: int) -> list[dict]:
    with open(DATA / ROWS[path] / "validation.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(number), strict=False)]


def template(jinja: str, choices: str | None = None, **more) -> PromptsourceTemplate:
    return PromptsourceTemplate(name="asked", id="1", jinja=jinja, answer_choices=choices, **more)


def write(folder: Path, text: str, path: str = "anli") -> Path:
    (folder / path).mkdir(parents=True, exist_ok=True)
    (folder / path / "templates.yaml").write_text(text, encoding="utf-8")
    return folder


def one_template(**fields: str) -> str:
    given = {"name": "asked", "jinja": "'{{ premise }} ||| {{ label }}'", **fields}
    body = "".join(f"    {key}: {value}\n" for key, value in given.items() if value)
    return f"dataset: anli\ntemplates:\n  1-2-3: !Template\n{body}"


# --- all of promptsource's templates of the study


@needs_templates
def test_every_dataset_of_the_study_has_its_templates_here():
    there = {file.parent.relative_to(TEMPLATES) for file in TEMPLATES.rglob("templates.yaml")}
    assert {path.as_posix() for path in there} == {*ROWS, *STUBS}


@needs_templates
@pytest.mark.parametrize("path", ROWS)
def test_every_template_renders_on_public_datasets(path):
    rows = validation_rows(path, 20)
    for each in load_templates(TEMPLATES, path):
        found = [each.render(row) for row in rows]
        rendered = [one for one in found if one]
        assert rendered, each.name
        assert found == [each.render(row) for row in rows]
        for one in rendered:
            assert one.input and all(one.targets)
            assert "{{" not in one.input and "{%" not in one.input
            assert not one.choices or set(one.targets) <= set(one.choices)
            if each.original_task and each.answer_choices:
                assert len(one.choices) >= 2
        assert len({(one.input, one.targets) for one in rendered}) > len(rendered) // 2, each.name


@needs_templates
@pytest.mark.parametrize("path", STUBS)
def test_every_template_renders_on_a_row_with_the_hubs_columns(path):
    row = stubbed_row(path)
    for each in load_templates(TEMPLATES, path):
        rendered = each.render(row)
        assert rendered and rendered.input and all(rendered.targets), each.name


@needs_templates
def test_what_is_known_of_templates_is_read():
    found = {each.name: each for each in load_templates(TEMPLATES, "super_glue/wsc.fixed")}
    assert list(found) == sorted(found) and len(found) == 10
    asked = found["does the pronoun refer to"]
    assert asked.id == "212fb8b1-8436-4f64-8f37-a9094fe029f4"
    assert asked.answer_choices == "No ||| Yes"
    assert asked.metrics == ("Accuracy",)
    assert asked.original_task and asked.choices_in_prompt
    row = {"text": "Ada met Bo. She left.", "span1_text": "Ada", "span2_text": "She", "label": 1}
    assert asked.render(row | {"span1_index": 0, "span2_index": 3}) == Rendered(
        'Ada met Bo. She left. In the previous sentence, does the pronoun "she" refer to Ada? '
        "Yes or no?",
        ("Yes",),
        ("No", "Yes"),
    )
    assert asked.render(row | {"label": -1}) is None


# --- semantics


def test_parts_are_stripped_and_a_template_may_have_several_answers():
    rendered = template(" {{ a }}\n ||| {{ b }} |||\n{{ c }} ").render({"a": 1, "b": 2, "c": 3})
    assert rendered == Rendered("1", ("2", "3"), ())


@pytest.mark.parametrize("row", [{"a": "x", "b": ""}, {"a": " ", "b": "x"}])
def test_a_row_without_a_prompt_or_an_answer_is_passed_over(row):
    assert template("{{ a }} ||| {{ b }}").render(row) is None
    assert template("{% if b == 'y' %}{{ a }} ||| {{ b }}{% endif %}").render(row) is None


def test_the_separator_in_a_rows_own_text_splits_nothing():
    row = {"text": "a ||| b", "options": ["c ||| d", "e"], "deep": {"x": ["f|||g"]}, "label": 0}
    asked = template(
        "{{ text }} {{ deep.x[0] }} ||| {{ answer_choices[label] }}", "{{ options | join('|||') }}"
    )
    assert asked.render(row) == Rendered("a ||| b f|||g", ("c ||| d",), ("c ||| d", "e"))
    assert row["deep"] == {"x": ["f|||g"]}


def test_choices_differ_by_row():
    asked = template("Q ||| {{ answer_choices[0] }}", "{{ options | join(' ||| ') }}")
    assert asked.render({"options": ["a", "b"]}).choices == ("a", "b")
    assert asked.render({"options": ["c", "d", "e"]}).choices == ("c", "d", "e")


def test_draws_are_the_same_each_time_and_differ_by_row_and_template():
    jinja = "{{ n }} {{ range(1000) | list | choice }} ||| {{ [1, 2] | random }}"
    rows = [{"n": n} for n in range(20)]
    first = [template(jinja).render(row) for row in rows]
    assert first == [template(jinja).render(row) for row in rows]
    assert len({one.input.split()[1] for one in first}) > 15
    other = PromptsourceTemplate(name="asked", id="2", jinja=jinja)
    assert first != [other.render(row) for row in rows]


def test_filters_and_globals_of_promptsource():
    asked = template(
        "{{ votes | most_frequent | join('+') }} {% for a, b in zip(votes, names) %}{{ a }}{{ b }} "
        "{% endfor %}{{ 'x' | highlight }} ||| y"
    )
    row = {"votes": ["b", "a", "b", "a", "c"], "names": ["p", "q"]}
    assert asked.render(row).input == "b+a bp aq x"


def test_templates_cannot_reach_python():
    asked = template(
        "{{ ''.__class__.__mro__ }} ||| {{ ''.__class__.__mro__[1].__subclasses__() }}"
    )
    with pytest.raises(ValueError, match="template 'asked': jinja fails on the row"):
        asked.render({})


def test_an_answer_that_is_no_choice_is_an_error_where_choices_are_ranked():
    asked = ("{{ text }} ||| {{ answer_choices[0] }}.", "yes ||| no")
    with pytest.raises(ValueError, match=r"'asked': the answer 'yes.' is not one of the choices"):
        template(*asked, original_task=True).render({"text": "x"})
    assert template(*asked).render({"text": "x"}) == Rendered("x", ("yes.",), ())


# --- faults


def test_an_unknown_column_is_named_with_file_and_template(tmp_path):
    (asked,) = load_templates(write(tmp_path, one_template()), "anli")
    with pytest.raises(ValueError) as caught:
        asked.render({"Premise": "x", "label": 1})
    assert str(caught.value) == (
        f"{tmp_path}/anli/templates.yaml, template 'asked': it uses the column 'premise', which "
        "the row does not have (it has Premise, label); rename the column or drop the template"
    )


@pytest.mark.parametrize(
    "text, says",
    {
        "broken YAML": ("templates: [1, 2", ["line 2: not YAML", "correct it"]),
        "an object": (
            "templates: !!python/object/apply:os.system ['false']",
            ["line 1: not YAML", "python/object/apply"],
        ),
        "a bare tag": ("templates: !Template", ["not YAML", "!Template must be a mapping"]),
        "no templates": ("dataset: anli", ["it has no templates", "add one"]),
        "no Jinja": (one_template(jinja=""), ["template 'asked': jinja is missing; add it"]),
        "bad Jinja": (
            one_template(jinja="'{{ premise ||| {{ label }}'"),
            ["template 'asked': line 1 of jinja is not valid Jinja", "correct it"],
        ),
        "an unknown filter": (
            one_template(jinja="'{{ premise | shout }} ||| a'"),
            ["template 'asked': line 1 of jinja is not valid Jinja", "shout"],
        ),
        "bad choices": (
            one_template(answer_choices="'{{ a'"),
            ["template 'asked': line 1 of answer_choices is not valid Jinja"],
        ),
        "no separator": (one_template(jinja="'{{ premise }}'"), ["template 'asked'", "no |||"]),
        "a number": (one_template(answer_choices="7"), ["'asked': answer_choices is 7", "text"]),
        "one name twice": (
            one_template() + one_template().split("templates:\n")[1].replace("1-2-3", "4"),
            ["two templates are called 'asked'; rename one"],
        ),
    }.values(),
)
def test_a_broken_file_is_named_with_template_and_fix(tmp_path, text, says):
    write(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        load_templates(tmp_path, "anli")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/anli/templates.yaml")
    assert all(part in message for part in says), message
    assert "\n" not in message


def test_missing_folders_and_datasets_are_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a directory; give a checkout"):
        load_templates(tmp_path / "nowhere", "anli")
    with pytest.raises(ValueError, match="nor for any other dataset; give a checkout"):
        load_templates(tmp_path, "anli")
    write(tmp_path, one_template(), "super_glue/copa")
    with pytest.raises(ValueError, match="'superglue/copa'.*did you mean super_glue/copa"):
        load_templates(tmp_path, "superglue/copa")


def test_a_checkouts_own_layout_is_read(tmp_path):
    write(tmp_path / "promptsource" / "templates", one_template())
    assert [each.name for each in load_templates(tmp_path, "anli")] == ["asked"]
    with pytest.raises(ValueError, match="did you mean anli"):
        load_templates(tmp_path, "anlu")
