"""report.html: the whole study on one self-contained page, made from Jinja2 templates."""
