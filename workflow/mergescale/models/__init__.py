"""The ladder of model sizes: tokenizers, models from scratch or from a folder, saving."""
