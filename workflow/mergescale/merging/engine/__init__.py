"""Merges from folders to folders, of models of any size, within fixed memory."""
