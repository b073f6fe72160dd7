"""The datasets that can be read from local rows: one file declares one, this list names them."""

from __future__ import annotations

from mergescale.tasks.real.dataset import Dataset
from mergescale.tasks.real.datasets import ag_news, copa, imdb, rte

DATASETS: tuple[Dataset, ...] = (
    imdb.DATASET,
    ag_news.DATASET,
    copa.DATASET,
    rte.DATASET,
)
