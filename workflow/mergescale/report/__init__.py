"""report.html: the whole study on one self-contained page."""
