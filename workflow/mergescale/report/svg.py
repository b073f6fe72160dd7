"""Puts SVG files into an HTML page."""

from __future__ import annotations

import re

from markupsafe import Markup, escape


def inline_svg(svg: str, prefix: str, description: str) -> Markup:
    """An SVG file as an element of a page: scalable, described, with identifiers of its own.

    Args:
        svg: the file's text, as matplotlib writes it.
        prefix: put before each identifier, since figures on one page share them (glyphs, clips).
        description: the text for screen readers.
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
    return Markup(f'{head} role="img" aria-label="{escape(description)}"{room}>{rest.strip()}')
