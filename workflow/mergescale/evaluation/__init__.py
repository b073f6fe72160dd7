"""Evaluation: rank classification, generation, metrics, the cache of results and score files."""
