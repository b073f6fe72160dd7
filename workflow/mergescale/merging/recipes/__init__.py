"""Recipes: merges as YAML files, in our own form or in mergekit's."""
