"""The state of a run between two calls: weights, optimizer, schedule, random numbers.

It does not depend on the number of processes, or on sharding, but for random numbers: a run goes
on with other processes, and what dropout draws is then different.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object


class State:
    """Keeps a run's state in `folder`, marked with `fingerprint`; all processes call it together.

    Attributes:
        parts: what is kept, by name; each has `state_dict` and `load_state_dict`.
    """

    def __init__(
        self, accelerator: Accelerator, folder: Path, fingerprint: str, parts: dict[str, Any]
    ) -> None:
        self.accelerator, self.folder, self.fingerprint = accelerator, folder, fingerprint
        self.parts = parts

    def resume(self) -> int:
        """Load what is kept and return its step; 0 where nothing that belongs to this run is."""
        # One process looks, so that all see the same.
        found = [self._found() if self.accelerator.is_main_process else None]
        mark = broadcast_object_list(found)[0]
        if mark is None:
            return 0
        kept = self.folder / mark["folder"]
        # Read where it is: each of several processes may want a part of it only.
        several = self.accelerator.num_processes > 1
        file = kept / "state.pt"
        whole = torch.load(file, map_location="cpu", weights_only=True, mmap=several)
        for name, part in self.parts.items():
            part.load_state_dict(whole[name])
            if several:
                _own(part)
        if self.accelerator.process_index < len(whole["random"]):
            mine = whole["random"][self.accelerator.process_index]
            _set_random(mine, self.accelerator.device)
        return mark["step"]

    def keep(self, step: int) -> None:
        """Keep the state after `step` steps in place of the one before; the main process writes."""
        whole = {part: self.parts[part].state_dict() for part in self.parts}
        whole["random"] = gather_object([_random(self.accelerator.device)])
        if not self.accelerator.is_main_process:
            return
        name = f"step-{step}"
        kept = self.folder / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        torch.save(whole, kept / "state.pt")
        # The mark is renamed into place only when the state it names is whole.
        mark = self.folder / "mark.json.partial"
        mark.write_text(json.dumps({"fingerprint": self.fingerprint, "folder": name, "step": step}))
        os.replace(mark, self.folder / "mark.json")
        for old in self.folder.glob("step-*"):
            if old.name != name:
                # What cannot be removed now is the next time.
                shutil.rmtree(old, ignore_errors=True)

    def _found(self) -> dict | None:
        try:
            mark = json.loads((self.folder / "mark.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            mark = {}
        if (
            mark.get("fingerprint") != self.fingerprint
            or not (self.folder / mark["folder"] / "state.pt").is_file()
        ):
            forget(self.folder)
            return None
        return mark


def forget(state: Path) -> None:
    """Remove the kept state of a run whose result is safely stored."""
    shutil.rmtree(state, ignore_errors=True)


def _own(part: Any) -> None:
    """Copy what an optimizer took as it is: mapped, it would keep the file in use."""
    for state in getattr(part, "state", {}).values():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.device.type == "cpu":
                state[name] = value.clone()


def _random(device: torch.device) -> dict[str, Any]:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random(states: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    for state in states["cuda"] if device.type == "cuda" else []:
        torch.cuda.set_rng_state(state, device)
