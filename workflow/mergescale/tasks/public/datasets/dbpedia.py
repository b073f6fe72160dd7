"""DBPedia (hub: dbpedia_14): first sentences of encyclopedia articles, in fourteen classes."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

KINDS = (
    "company",
    "school",
    "artist",
    "athlete",
    "politician",
    "vehicle",
    "building",
    "natural place",
    "village",
    "animal",
    "plant",
    "album",
    "film",
    "written work",
)
DATASET = Dataset(
    name="dbpedia",
    title="DBPedia",
    describe="The beginning of an article: which of fourteen kinds of thing is it about?",
    kind="rank",
    metric="accuracy",
    hub=Hub("fancyzhx/dbpedia_14", "dbpedia_14", splits={"train": ("train",), "test": ("test",)}),
    folder="dbpedia_14",
    promptsource="dbpedia_14",
    columns={"title": TEXT, "content": TEXT, "label": WHOLE},
    key_columns=("title", "content"),
    label_names=(
        "Company",
        "EducationalInstitution",
        "Artist",
        "Athlete",
        "OfficeHolder",
        "MeanOfTransportation",
        "Building",
        "NaturalPlace",
        "Village",
        "Animal",
        "Plant",
        "Album",
        "Film",
        "WrittenWork",
    ),
    templates=(
        Template("kind", "{content}\nWhat kind of thing is {title}?", KINDS),
        Template("subject", "{title}: {content}\nThe subject of this article is a kind of", KINDS),
        Template(
            "listed",
            f"The kinds are: {', '.join(KINDS)}.\n{{content}}\nWhich of the kinds is this?",
            KINDS,
        ),
    ),
)
