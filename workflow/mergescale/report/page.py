"""Putting the page together: one HTML file from a study's files, without outer resources."""

import json
from pathlib import Path

from mergescale.analysis import tasks_table
from mergescale.analysis import tidy_tables as records
from mergescale.analysis.writing import replace_text
from mergescale.report import study_section as about
from mergescale.report import table_section as results
from mergescale.report import timing_section as timing
from mergescale.report import uncertainty_section as noise
from mergescale.report.elements import escaped
from mergescale.report.figure_section import figures

CONTENTS = {
    "study": "The study",
    "figures": "Figures",
    "tables": "Tables 1-4",
    "tasks": "All tasks",
    "noise": "Noise",
    "left-out": "Left out",
    "timing": "Wall time",
    "provenance": "Provenance",
}


def write(
    *,
    study,
    performance,
    scores,
    normalised,
    tasks,
    figure_folder,
    table_folder,
    out,
    timing_csv=None,
) -> None:
    """Write the report to `out`; the other arguments are paths of the study's files.

    `study` is a JSON object: "title" (or "name"), "description" and "provenance" have places of
    their own, every other key is shown as a key fact, in the order of the file. `timing_csv`
    (stage, seconds, jobs) may be None.
    """
    described = json.loads(Path(study).read_text(encoding="utf-8"))
    all_tables = results.read_tables(table_folder)
    normalised_rows = records.read(normalised, records.NORMALISED)
    sizes = records.appearance(
        records.read(Path(table_folder) / "tasks.csv", {"size": "text"})["size"]
    )
    tasks_rows = tasks_table.build(
        records.read(scores, records.SCORES), records.read(tasks, records.TASKS), sizes
    )
    files = {
        "performance.csv": performance,
        "scores.csv": scores,
        "normalised.csv": normalised,
        "tasks.csv": tasks,
    }
    sections = [
        about.about(described),
        figures(figure_folder),
        results.performance_tables(all_tables),
        results.all_tasks(tasks_rows),
        noise.spread(all_tables, normalised_rows),
        noise.left_out(normalised_rows),
        timing.timing(timing_csv),
        about.provenance(described, files),
    ]
    replace_text(out, _page(described, sections))


def _page(study: dict, sections) -> str:
    title = escaped(study.get("title") or f"Study {study.get('name', '')}".strip())
    css = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in CONTENTS.items())
    body = "\n".join(sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<nav aria-label="Contents"><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""
