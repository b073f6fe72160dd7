"""Rows on the Hugging Face hub: parquet of one revision, kept in the hub's own cache.

Nothing of a dataset is run, and the `datasets` library is not used: its newer versions refuse the
scripts that most of the study's datasets are.
"""

from __future__ import annotations

from pathlib import Path

from mergescale.tasks.public.dataset import Dataset
from mergescale.tasks.public.folder_rows import stratum
from mergescale.tasks.public.raw_rows import SplitFile

# Where a split's files may be: on the parquet branch now, in converted repositories, and on the
# parquet branch before 2023.
_PLACES = (
    "{config}/{split}/*.parquet",
    "{config}/{split}-*.parquet",
    "data/{split}-*.parquet",
    "{config}/*-{split}.parquet",
)


def fetch(dataset: Dataset, revision: str) -> tuple[str, dict[str, list[SplitFile]]]:
    """The commit that a revision stands for, and the files of each split.

    Raises:
        ValueError: the hub cannot be reached, has no such dataset or revision, or a split has no
            parquet file there.
    """
    hub = dataset.hub
    splits = [name for names in hub.splits.values() for name in names]
    patterns = [
        place.format(config=hub.config, split=split) for split in splits for place in _PLACES
    ]
    try:
        folder = snapshot(hub.repo, revision, patterns)
    except (OSError, *_hub_errors()) as error:
        raise ValueError(_cannot_fetch(dataset, revision, error)) from None
    found = {
        role: [
            SplitFile(path, stratum(dataset, name))
            for name in names
            for path in _files(dataset, folder, name)
        ]
        for role, names in hub.splits.items()
    }
    return folder.name, found


def snapshot(repo: str, revision: str, patterns: list[str]) -> Path:
    """Fetch the files of a dataset's revision that match; the folder is named after the commit.

    The one place that asks the hub. `HF_HUB_OFFLINE=1` takes what the cache has.
    """
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=patterns)
    )


def _files(dataset: Dataset, folder: Path, split: str) -> list[Path]:
    for place in _PLACES:
        files = sorted(folder.glob(place.format(config=dataset.hub.config, split=split)))
        if files:
            return files
    raise ValueError(
        f"{dataset.hub.repo} at {folder.name} has no parquet file of the split {split!r} of "
        f"{dataset.hub.config!r}; name another revision under tasks.revisions.{dataset.name}"
    )


def _cannot_fetch(dataset: Dataset, revision: str, error: Exception) -> str:
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    place = f"{dataset.hub.repo} at {revision}"
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError):
        return (
            f"the Hugging Face hub has no {place}; name another revision under "
            f"tasks.revisions.{dataset.name}, or use the source folder"
        )
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"{place} is neither in the cache nor reachable on the Hugging Face hub "
        f"({reason.rstrip('.')}); fetch it on a machine with a network first, or use the source "
        f"folder"
    )


def _hub_errors() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    return HfHubHTTPError, HFValidationError
