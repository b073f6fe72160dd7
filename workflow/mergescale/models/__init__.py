"""Models and tokenizers: made from scratch, loaded, saved."""
