"""The figures as inline SVG, with the captions that also serve Snakemake's own report."""

import re
from pathlib import Path

from mergescale.report.elements import Markup, escaped, paragraph, section

FIGURES = ("1a", "1b", "2", "3", "4", "5", "6", "7")
CAPTIONS = Path(__file__).resolve().parents[2] / "report"


def caption(name: str) -> str:
    """The caption of a figure or table ("figure3", "table1") as one line of text."""
    return " ".join((CAPTIONS / f"{name}.rst").read_text(encoding="utf-8").split())


def figures(folder) -> Markup:
    """All figures found in `folder`; one that is missing is named."""
    parts = []
    for name in FIGURES:
        path = Path(folder) / f"figure{name}.svg"
        if not path.exists():
            parts.append(paragraph(f"Figure {name} was not drawn.", "note"))
            continue
        text = caption(f"figure{name}")
        picture = inline(path.read_text(encoding="utf-8"), f"f{name}-", f"Figure {name}: {text}")
        parts.append(
            Markup(
                f'<figure id="figure{name}"><div class="paper">{picture}</div>'
                f"<figcaption><b>Figure {name}.</b> {escaped(text)}</figcaption></figure>"
            )
        )
    return section("figures", "Figures", *parts)


def inline(svg: str, prefix: str, description: str) -> Markup:
    """An SVG file as an element of a page: scalable, described, with identifiers of its own.

    Several figures on a page share identifiers (glyphs, clip paths) unless each gets a prefix.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    head, rest = svg.split(">", 1)
    width = re.search(r'\bwidth="([\d.]+)pt"', head)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    # 1.6 px a point: about as large on a screen as the figure is meant to be read in print.
    room = f' style="max-width:{float(width[1]) * 1.6:.0f}px"' if width else ""
    label = escaped(description)
    return Markup(f'{head} role="img" aria-label="{label}"{room}>{rest.strip()}')
