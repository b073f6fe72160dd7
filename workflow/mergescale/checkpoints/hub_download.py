"""Downloads models of the Hugging Face hub into folders.

Only safetensors, configuration and tokenizer are downloaded; no code of a repository is run.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mergescale.checkpoints.folder import SHARED_FILES, weight_files
from mergescale.provenance.atomic import write_json

# Files at the top of the repository; its folders have the same weights in other formats.
PATTERNS = ("model*.safetensors", "model.safetensors.index.json", "config.json", *SHARED_FILES)
RECORD = "hub.json"
_REQUESTED = ".requested.json"


def fetch(folder: Path, *, repo: str, revision: str) -> None:
    """Download a model into `folder`; at the end, write hub.json: repository, commit, bytes.

    An interrupted download resumes. Files of another model or revision are removed first.

    Raises:
        ValueError: The hub cannot be reached or has no such model, or the model has no safetensors
            weights.
    """
    requested = {"repo": repo, "revision": revision}
    if folder.is_dir() and _requested(folder) != requested:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _REQUESTED, requested)
    try:
        commit = download(repo, revision, folder)
    # Many exceptions mean that the hub was not reached; the client's own differ by version.
    except Exception as error:
        raise ValueError(_explain(repo, revision, error)) from None
    if not (folder / "config.json").is_file():
        raise ValueError(f"the model {repo} of the hub has no config.json: choose another one")
    try:
        files = weight_files(folder)
    except ValueError:
        raise ValueError(
            f"the model {repo} of the hub at {revision} has no complete safetensors weights: "
            "choose another model or revision"
        ) from None
    sizes = {path.name: path.stat().st_size for path in files}
    write_json(folder / RECORD, {"repo": repo, "commit": commit, "weights": sizes})


def download(repo: str, revision: str, folder: Path) -> str:
    """Download the files of a model into `folder` and return the commit.

    No other function connects to the hub. Its client resumes partial downloads below `folder`.
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


def _requested(folder: Path) -> dict | None:
    """What an earlier call downloads into a folder."""
    try:
        return json.loads((folder / _REQUESTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _explain(repo: str, revision: str, error: Exception) -> str:
    """One line on why a download failed, with the fix."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return (
            f"the model {repo} of the hub is gated: accept its license on its page and log in with "
            "`hf auth login`"
        )
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError | HFValidationError):
        return (
            f"the Hugging Face hub has no model {repo} at {revision} that you can access: correct "
            "hub and revision of the size, or log in with `hf auth login`"
        )
    reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
    return (
        f"the model {repo} cannot be downloaded from the Hugging Face hub ({reason}): run this job "
        "again with a network, where it resumes, or give the size a checkpoint instead"
    )
