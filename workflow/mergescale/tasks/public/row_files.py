"""Finds the files of a dataset's splits, in a local folder or on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from mergescale.tasks.public.dataset import Dataset, describe_type
from mergescale.tasks.rows import SAVED, RowFile
from mergescale.tasks.task import SPLITS

# A split in a folder: a file of its name, or a folder of `Dataset.save_to_disk`.
_SUFFIXES = (".jsonl", ".parquet", "")
# A split on the hub: on the parquet branch now, in converted repositories, and on the parquet
# branch before 2023.
_HUB_PATTERNS = (
    "{config}/{split}/*.parquet",
    "{config}/{split}-*.parquet",
    "data/{split}-*.parquet",
    "{config}/*-{split}.parquet",
)


class HubUnreachableError(ValueError):
    """The hub cannot be reached, so that further downloads would fail in the same way."""


def find_in_folder(dataset: Dataset, folder: Path) -> dict[str, list[RowFile]]:
    """Find the files of each split in a dataset's folder; splits that do not exist are omitted.

    A split is named train, validation or test, or as on the hub (`val.jsonl`, `test_r1.parquet`).

    Raises:
        ValueError: the folder does not exist, or a split exists twice or is not a file.
    """
    if not folder.is_dir():
        columns = (f"{name} ({describe_type(kind)})" for name, kind in dataset.columns.items())
        raise ValueError(
            f"{folder} is not a directory; put the rows of {dataset.title} there as "
            f"{', '.join(SPLITS)} (.jsonl or .parquet) with the columns {', '.join(columns)}, or "
            f"use the source hub"
        )
    files = {}
    for split in SPLITS:
        own = _find_split(folder, split)
        named = [
            (name, file)
            for name in dataset.hub.splits.get(split, ())
            if (file := _find_split(folder, name)) is not None and file != own
        ]
        if own and named:
            raise ValueError(
                f"{own} and {named[0][1]} are both the {split} split; keep one of them"
            )
        if own:
            files[split] = [RowFile(own)]
        elif named:
            files[split] = [RowFile(file, _stratum(dataset, name)) for name, file in named]
    return files


def _find_split(folder: Path, name: str) -> Path | None:
    """The file of a split; None if there is none."""
    paths = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
    existing = [path for path in paths if path.exists()]
    if len(existing) > 1:
        raise ValueError(f"{existing[0]} and {existing[1]} are the same split; keep one of them")
    if not existing:
        return None
    path = existing[0]
    # A named pipe would block for ever.
    if not path.is_file() and not (path / SAVED).is_file():
        raise ValueError(f"{path} is not a file; put the rows of the split there as a file")
    return path


def _stratum(dataset: Dataset, hub_split: str) -> dict[str, str]:
    """The column that the name of a hub split provides, e.g. the round of an ANLI split."""
    _, _, value = hub_split.rpartition("_")
    return {dataset.strata: value} if dataset.strata else {}


def fetch_from_hub(dataset: Dataset, revision: str) -> tuple[str, dict[str, list[RowFile]]]:
    """Download the parquet files of a dataset, unless the hub's cache has them.

    No code of a dataset is run.

    Args:
        dataset: the dataset.
        revision: commit or branch.

    Returns:
        The commit, and the files of each split.

    Raises:
        HubUnreachableError: the hub cannot be reached.
        ValueError: it has no such dataset or revision, or no parquet file of a split.
    """
    hub = dataset.hub
    splits = [name for names in hub.splits.values() for name in names]
    patterns = [
        pattern.format(config=hub.config, split=split)
        for split in splits
        for pattern in _HUB_PATTERNS
    ]
    try:
        folder = snapshot(hub.repo, revision, patterns)
    except (OSError, *_hub_errors()) as error:
        raise _describe_hub_error(dataset, revision, error) from None
    files = {
        split: [
            RowFile(path, _stratum(dataset, name))
            for name in names
            for path in _hub_files(dataset, folder, name)
        ]
        for split, names in hub.splits.items()
    }
    return folder.name, files


def snapshot(repo: str, revision: str, patterns: list[str]) -> Path:
    """Download the matching files of a dataset's revision; the folder is named after the commit.

    This is the only function that contacts the hub for a public dataset. `HF_HUB_OFFLINE=1`
    restricts it to the cache.
    """
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=patterns)
    )


def _hub_files(dataset: Dataset, folder: Path, split: str) -> list[Path]:
    """The files of a hub split in a downloaded snapshot."""
    for pattern in _HUB_PATTERNS:
        files = sorted(folder.glob(pattern.format(config=dataset.hub.config, split=split)))
        if files:
            return files
    raise ValueError(
        f"{dataset.hub.repo} at {folder.name} has no parquet file of the split {split!r} of "
        f"{dataset.hub.config!r}; name another revision under tasks.revisions.{dataset.name}"
    )


def _describe_hub_error(dataset: Dataset, revision: str, error: Exception) -> ValueError:
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    version = f"{dataset.hub.repo} at {revision}"
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError):
        return ValueError(
            f"the Hugging Face hub has no {version}; name another revision under "
            f"tasks.revisions.{dataset.name}, or use the source folder"
        )
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return HubUnreachableError(
        f"{version} is neither in the cache nor reachable on the Hugging Face hub "
        f"({reason.rstrip('.')}); fetch it on a machine with a network first, or use the source "
        f"folder"
    )


def _hub_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    return HfHubHTTPError, HFValidationError
