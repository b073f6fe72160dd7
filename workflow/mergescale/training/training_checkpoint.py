"""The checkpoint of a run in progress: weights, optimizer, schedule and random states.

It depends neither on the number of processes nor on sharding, but for the random states: a run may
resume with another number of processes, and dropout then draws other numbers.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object

# Which step is the newest, `step-N/checkpoint.pt`.
LATEST = "latest.json"
_WEIGHTS_AND_STATES = "checkpoint.pt"


class Stateful(Protocol):
    """What a checkpoint saves and loads."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class TrainingCheckpoint:
    """Saves and loads the newest state of one run; all processes call its methods together.

    Attributes:
        accelerator: of the run.
        folder: where the checkpoint is; it belongs to this run alone.
        fingerprint: what decides the run's result. A checkpoint with another one is deleted.
        parts: what is saved, by name.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        folder: Path,
        fingerprint: str,
        parts: dict[str, Stateful],
    ) -> None:
        self.accelerator, self.folder, self.fingerprint = accelerator, folder, fingerprint
        self.parts = parts

    def resume(self) -> int:
        """Load the checkpoint and return its step; 0 if there is none of this run."""
        # The main process alone reads the folder, so that all agree.
        found = [self._find_latest() if self.accelerator.is_main_process else None]
        latest = broadcast_object_list(found)[0]
        if latest is None:
            return 0
        file = self.folder / latest["folder"] / _WEIGHTS_AND_STATES
        # Mapped, since each of several processes may need only a part of it.
        several = self.accelerator.num_processes > 1
        saved = torch.load(file, map_location="cpu", weights_only=True, mmap=several)
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])
            if several:
                _copy_mapped_tensors(part)
        rank = self.accelerator.process_index
        if rank < len(saved["random"]):
            _set_random_state(saved["random"][rank], self.accelerator.device)
        return latest["step"]

    def save(self, step: int) -> None:
        """Replace the checkpoint by the state after `step` steps; the main process writes it."""
        state: dict[str, Any] = {name: part.state_dict() for name, part in self.parts.items()}
        state["random"] = gather_object([_get_random_state(self.accelerator.device)])
        if not self.accelerator.is_main_process:
            return
        name = f"step-{step}"
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        torch.save(state, folder / _WEIGHTS_AND_STATES)
        # Renamed into place only when the checkpoint that it names is complete.
        latest = {"fingerprint": self.fingerprint, "folder": name, "step": step}
        partial = self.folder / f"{LATEST}.partial"
        partial.write_text(json.dumps(latest))
        os.replace(partial, self.folder / LATEST)
        for old in self.folder.glob("step-*"):
            if old.name != name:
                # Files that cannot be removed now are removed with the next checkpoint.
                shutil.rmtree(old, ignore_errors=True)

    def _find_latest(self) -> dict[str, Any] | None:
        try:
            latest = json.loads((self.folder / LATEST).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            latest = {}
        if (
            latest.get("fingerprint") != self.fingerprint
            or not (self.folder / latest["folder"] / _WEIGHTS_AND_STATES).is_file()
        ):
            delete_checkpoint(self.folder)
            return None
        return latest


def delete_checkpoint(folder: Path) -> None:
    """Delete the checkpoint of a run whose model is saved, or of another run."""
    shutil.rmtree(folder, ignore_errors=True)


def _copy_mapped_tensors(part: Stateful) -> None:
    """Copy the tensors that an optimizer took from the mapped file, which they would keep open."""
    for state in getattr(part, "state", {}).values():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.device.type == "cpu":
                state[name] = value.clone()


def _get_random_state(device: torch.device) -> dict[str, Any]:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random_state(states: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    for state in states["cuda"] if device.type == "cuda" else []:
        torch.cuda.set_rng_state(state, device)
