"""Evaluation: rank classification, generation, metrics, kept results and records."""
