"""README.md of a merged folder: how it was made, from what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mergescale.merging.method import LAMBDA

if TYPE_CHECKING:
    from mergescale.merging.engine.merge_spec import Merge


def model_card(merge: Merge, record: Mapping[str, Any]) -> str:
    """Markdown with the front matter that the Hugging Face hub reads."""
    settings = {**merge.parameters, LAMBDA: merge.lam}
    if merge.seed is not None:
        settings["seed"] = merge.seed
    experts = record["recipe"]["experts"]
    lines = [
        "---",
        "library_name: transformers",
        "tags: [merge, mergescale]",
        "---",
        f"# {merge.method.title} of {', '.join(merge.experts)}",
        "",
        "Merged by mergescale "
        f"{record['mergescale']}: W = W0 + lambda * tau, computed in float32, written in "
        f"{merge.dtype}. `merge.json` holds the recipe.",
        "",
        *(f"- {name}: {value}" for name, value in settings.items()),
    ]
    if merge.dtype != "float32":
        lines.append(f"- lost in {merge.dtype}: {record['rounded_away_fraction']:.2%} of the moved entries")
    if record["tokenizers"] == "ignore":
        lines.append("- tokenizer: the base's; tokenizers were not compared")
    lines += ["", "| input | settings of its own | content digest |", "|---|---|---|"]
    for name, given in record["inputs"].items():
        own = ", ".join(
            f"{key} {value}" for key, value in experts.get(name, {}).items() if key != "weight"
        )
        weight = experts.get(name, {}).get("weight", 1.0)
        own = ", ".join(filter(None, [own, f"weight {weight}" if weight != 1 else ""]))
        lines.append(f"| {name} | {own} | `{given['digest']}` |")
    return "\n".join(lines) + "\n"
