"""Model merging at scale: tasks, training, merging, evaluation and analysis."""

__version__ = "0.1.0"
