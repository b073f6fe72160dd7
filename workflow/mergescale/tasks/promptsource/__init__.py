"""Prompts from promptsource's `templates.yaml` files (Bach et al., 2022, arXiv 2202.01279).

Read and rendered here, without the promptsource package: the same Jinja semantics, but in a
sandbox, with the same result each time, and with a sentence for every fault.
"""

from mergescale.tasks.promptsource.template import PromptsourceTemplate, Rendered
from mergescale.tasks.promptsource.template_files import load_templates

__all__ = ["PromptsourceTemplate", "Rendered", "load_templates"]
