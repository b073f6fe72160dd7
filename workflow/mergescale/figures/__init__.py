"""The paper's figures: each drawn from performance.csv alone, in one shared style."""
