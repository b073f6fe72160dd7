"""Prompts from promptsource's `templates.yaml` files (Bach et al., 2022, arXiv 2202.01279).

They are read and rendered without the promptsource package: the same Jinja semantics, but in a
sandbox, deterministic, and with a one-line error for every fault.
"""

from mergescale.tasks.promptsource.template import PromptsourceTemplate, Rendered
from mergescale.tasks.promptsource.template_files import load_templates

__all__ = ["PromptsourceTemplate", "Rendered", "load_templates"]
