"""Models of the Hugging Face hub: fetched into a folder, whole or not at all.

Only safetensors, configuration and tokenizer are fetched; nothing of a repository is run.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mergescale.checkpoints.folder import SHARED_FILES, weight_files
from mergescale.provenance.atomic import write_json

# By names in the repository's own folder: below it lie the same weights in other forms.
PATTERNS = ("model*.safetensors", "model.safetensors.index.json", "config.json", *SHARED_FILES)
RECORD = "hub.json"
_BEGUN = ".begun.json"


def fetch(folder: Path, *, repo: str, revision: str) -> None:
    """Fetch a model into `folder` and write `hub.json` there last: repository, commit, bytes.

    Files that a stopped call has fetched are kept, and a begun one is gone on with. What is left
    of another model or revision is removed first.

    Raises:
        ValueError: the hub is not reached, has no such model, or the model no safetensors weights.
    """
    wanted = {"repo": repo, "revision": revision}
    if folder.is_dir() and _begun(folder) != wanted:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _BEGUN, wanted)
    try:
        commit = download(repo, revision, folder)
    # Many kinds of error mean that the hub was not reached, and the client's own differ by version.
    except Exception as error:
        raise ValueError(_sentence(repo, revision, error)) from None
    if not (folder / "config.json").is_file():
        raise ValueError(f"the model {repo} of the hub holds no config.json: name another one")
    try:
        files = weight_files(folder)
    except ValueError:
        raise ValueError(
            f"the model {repo} of the hub at {revision} holds no whole set of safetensors weights; "
            "name another model or revision"
        ) from None
    sizes = {path.name: path.stat().st_size for path in files}
    write_json(folder / RECORD, {"repo": repo, "commit": commit, "weights": sizes})


def download(repo: str, revision: str, folder: Path) -> str:
    """Bring the files of a model into `folder`; return the commit. The one place that asks the hub.

    The hub's client keeps what it has begun below `folder` and goes on with it.
    """
    from huggingface_hub import HfApi, snapshot_download

    commit = HfApi().model_info(repo, revision=revision).sha
    snapshot_download(
        repo,
        revision=commit,
        local_dir=folder,
        allow_patterns=list(PATTERNS),
        ignore_patterns=["*/*"],
    )
    return commit


def _begun(folder: Path) -> dict | None:
    try:
        return json.loads((folder / _BEGUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _sentence(repo: str, revision: str, error: Exception) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return (
            f"the model {repo} of the hub is given to those only who accepted its licence: accept "
            "it on its page and log in with `hf auth login`"
        )
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError | HFValidationError):
        return (
            f"the Hugging Face hub has no model {repo} at {revision} that you may read; correct "
            "hub and revision of the size, or log in with `hf auth login`"
        )
    reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    return (
        f"the model {repo} cannot be fetched from the Hugging Face hub ({reason}); run this job "
        "where there is a network, it goes on where it stopped, or give the size a checkpoint "
        "instead"
    )
