"""Run mergekit in an environment of its own: python run_mergekit.py JOBS.

JOBS is a YAML file, {output folder: {config: mergekit's configuration, masks: file or null}}. The
masks are a safetensors file of booleans `<model folder>/<tensor>`, which mergekit's DARE uses in
place of random numbers. mergekit does not pass on which tensor it draws for, so that a mask is
found by the delta's values.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import yaml
from mergekit import sparsify
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file


def use_masks(config: dict, file: str) -> None:
    """Replace the Bernoulli masks that mergekit draws by those of a file."""
    masks = load_file(file)
    base = load_file(Path(config["base_model"]) / "model.safetensors")
    known = {}
    for entry in config["models"]:
        folder = Path(entry["model"])
        for name, weight in load_file(folder / "model.safetensors").items():
            delta = weight.float() - base[name].float()
            known[delta.numpy().tobytes()] = masks[f"{folder.name}/{name}"]

    def bernoulli(
        tensor: torch.Tensor, density: float, rescale_norm: sparsify.RescaleNorm | None = None
    ) -> torch.Tensor:
        mask = known[tensor.numpy().tobytes()].to(tensor.dtype)
        return sparsify.rescaled_masked_tensor(tensor, mask, rescale_norm)

    sparsify.bernoulli = bernoulli


def main() -> None:
    """Merge by each configuration."""
    torch.set_num_threads(1)
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True)
    for out, job in yaml.safe_load(Path(sys.argv[1]).read_text()).items():
        if job["masks"]:
            use_masks(job["config"], job["masks"])
        run_merge(MergeConfiguration.model_validate(job["config"]), out, options)


if __name__ == "__main__":
    main()
