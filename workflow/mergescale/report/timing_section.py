"""Where the wall time went: one stacked bar, and the numbers below it."""

from mergescale.analysis import tidy_tables as records
from mergescale.report.elements import Markup, escaped, paragraph, section, table, whole_number

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


def timing(path) -> Markup:
    """The section for timing.csv (stage, seconds, jobs); one sentence if there is no such file."""
    title = "Where the wall time went"
    if path is None:
        return section("timing", title, paragraph("Not recorded for this run."))
    rows = records.read(path, records.TIMING).dropna(subset=["seconds"])
    total = rows["seconds"].sum()
    if not total > 0:
        return section("timing", title, paragraph("Not recorded for this run."))
    pieces, lines = [], []
    for i, row in enumerate(rows.itertuples()):
        colour = COLOURS[i % len(COLOURS)]
        share = row.seconds / total
        label = f"{row.stage}: {duration(row.seconds)} ({share:.0%})"
        pieces.append(
            f'<span style="width:{100 * share:.3f}%;background:{colour}" '
            f'title="{escaped(label)}"></span>'
        )
        dot = Markup(f'<i class="dot" style="background:{colour}"></i>{escaped(row.stage)}')
        lines.append([dot, duration(row.seconds), f"{share:.1%}", whole_number(row.jobs)])
    lines.append(["all", duration(total), "", f"{int(rows['jobs'].fillna(0).sum()):,}"])
    bar = Markup(f'<div class="bar" role="img" aria-label="time by stage">{"".join(pieces)}</div>')
    return section(
        "timing",
        title,
        paragraph("Seconds of all jobs added up by stage; jobs that ran side by side both count."),
        bar,
        table(["stage", "time", "share", "jobs"], lines),
    )


def duration(seconds: float) -> str:
    """7.3 becomes "7.3 s", 125 "2 min 05 s", 4000 "1 h 07 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
