"""Merging: task vectors, methods, and checkpoints as Hugging Face folders."""
