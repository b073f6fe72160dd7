"""Recipes: merges as YAML files, in this project's own format or in mergekit's."""
