"""Compares two runs of one study: the same numbers, whatever files and columns are called.

    python benchmarks/compare_results.py OLD/results/smoke NEW/results/smoke

Compared are task files, corpus and mixture (row by row), the weights of every model (byte by byte),
every prediction, the tables scores.csv, tasks.csv, normalized.csv, performance.csv (each cell
as text), and the figures (pixel by pixel where both PNGs have one size). Names that changed between
two versions are listed below. Records of where and how long something ran are left out. The exit
status is 1 where a number differs, or is in one of the two only.
"""

import argparse
import csv
import sys
from pathlib import Path

# Old name: new name. Both directions are tried.
RENAMED_FILES = {"normalised.csv": "normalized.csv"}
RENAMED_COLUMNS = {"normalised": "normalized"}
TABLES = ("scores.csv", "tasks.csv", "draws.csv", "normalized.csv", "performance.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    args = parser.parse_args()
    differences = 0
    for kind, compare in (
        ("weights", compare_weights),
        ("rows and predictions", compare_parquet),
        ("tables", compare_tables),
        ("figures", compare_figures),
    ):
        equal, different = compare(args.old, args.new)
        differences += len(different) if kind != "figures" else 0
        print(f"{kind}: {equal} equal, {len(different)} different")
        for line in different[:20]:
            print(f"  {line}")
    sys.exit(1 if differences else 0)


def compare_weights(old: Path, new: Path) -> tuple[int, list[str]]:
    """Every safetensors file, byte by byte."""
    equal, different = 0, []
    for name in names(old, new, "models/**/*.safetensors"):
        same = (
            both(old / name, new / name) and (old / name).read_bytes() == (new / name).read_bytes()
        )
        equal, different = tally(same, name, equal, different)
    return equal, different


def compare_parquet(old: Path, new: Path) -> tuple[int, list[str]]:
    """Every parquet file: its rows as Python objects."""
    import pyarrow.parquet as pq

    equal, different = 0, []
    for name in names(old, new, "**/*.parquet"):
        same = both(old / name, new / name) and (
            pq.read_table(old / name).to_pylist() == pq.read_table(new / name).to_pylist()
        )
        equal, different = tally(same, name, equal, different)
    return equal, different


def compare_tables(old: Path, new: Path) -> tuple[int, list[str]]:
    """The tidy tables, cell by cell as text, under today's column names."""
    equal, different = 0, []
    for name in TABLES:
        before, after = (under_any_name(folder, name) for folder in (old, new))
        same = both(before, after) and table(before) == table(after)
        equal, different = tally(same, name, equal, different)
    return equal, different


def compare_figures(old: Path, new: Path) -> tuple[int, list[str]]:
    """Every PNG, pixel by pixel."""
    import matplotlib.image

    equal, different = 0, []
    for name in names(old, new, "figures/*.png"):
        same = both(old / name, new / name)
        if same:
            first, second = (matplotlib.image.imread(folder / name) for folder in (old, new))
            same = first.shape == second.shape and bool((first == second).all())
        equal, different = tally(same, name, equal, different)
    return equal, different


def names(old: Path, new: Path, pattern: str) -> list[str]:
    """Relative paths that match in either folder; hidden folders hold caches and are left out."""
    found = {str(path.relative_to(root)) for root in (old, new) for path in root.glob(pattern)}
    return sorted(name for name in found if not name.startswith(".") and "/." not in name)


def under_any_name(folder: Path, name: str) -> Path:
    """A file under today's name, or under the one that it had before."""
    former = {value: key for key, value in RENAMED_FILES.items()}.get(name, name)
    return folder / name if (folder / name).exists() else folder / former


def both(first: Path, second: Path) -> bool:
    return first.is_file() and second.is_file()


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return [
            {RENAMED_COLUMNS.get(column, column): cell for column, cell in row.items()}
            for row in csv.DictReader(stream)
        ]


def tally(same: bool, name: str, equal: int, different: list[str]) -> tuple[int, list[str]]:
    return (equal + 1, different) if same else (equal, [*different, name])


if __name__ == "__main__":
    main()
