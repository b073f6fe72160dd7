"""The paper's figures: each a file `figure_<name>.py`, drawn from performance.csv in one style."""
