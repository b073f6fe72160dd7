"""What a figure is drawn from: performance.csv and the order of its sizes, methods and bases."""

from dataclasses import dataclass

from mergescale.analysis import tidy_tables as records
from mergescale.analysis.tidy_tables import MULTITASK


@dataclass(frozen=True)
class Performance:
    """The rows of performance.csv that have a mean; every list is in drawing order."""

    rows: object
    sizes: list
    methods: list  # without multitask
    bases: list
    counts: list

    def series(self, along: str, order: list, **where):
        """The rows matching `where` (column=value), in the order of `along` over `order`."""
        rows = self.rows
        for column, value in where.items():
            rows = rows[rows[column] == value]
        rows = rows[rows[along].isin(order)]
        return records.sort(rows, [along], {along: order})

    def some_sizes(self) -> list:
        """The smallest, the second largest and the largest size: the panels of Figures 2 and 5.

        (The paper shows 1B, 24B and 64B of 1B, 8B, 24B and 64B.) All sizes when there are fewer.
        """
        return self.sizes if len(self.sizes) <= 3 else [self.sizes[0], *self.sizes[-2:]]


def load(performance_csv, sizes=None, methods=None) -> Performance:
    """Read performance.csv.

    `sizes` (smallest first) and `methods` give the order; without them it is the order of
    appearance. Only sizes that are listed are drawn; methods the file has beyond the list come
    after it.
    """
    rows = records.read(performance_csv, records.PERFORMANCE).dropna(subset=["mean"])
    sizes = list(sizes or records.appearance(rows["size"]))
    found = records.appearance(rows["method"], first=methods or ())
    counts = sorted(int(count) for count in rows["count"].dropna().unique())
    bases = records.appearance(rows["base"], first=records.BASES)
    return Performance(rows, sizes, [m for m in found if m != MULTITASK], bases, counts)
