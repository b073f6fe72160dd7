"""The recipe of a merge: everything that decides its weights, in a form that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from mergescale.checkpoints.folder import weight_files
from mergescale.merging.method import LAMBDA
from mergescale.merging.methods.registry import get_method
from mergescale.provenance.digests import record_digest


def weights_digest(folder: str | Path) -> str:
    """SHA-256 (hexadecimal) of a folder's safetensors files, one after the other by name.

    For a folder with a single file it is what `sha256sum model.safetensors` prints.
    """
    digest = sha256()
    for path in weight_files(folder):
        with path.open("rb") as file:
            file_digest(file, lambda: digest)  # continues the digest begun with the file before
    return digest.hexdigest()


@dataclass(frozen=True)
class Recipe:
    """What is merged and how. Two recipes of one digest give the same weights, bit for bit.

    method: a name of the registry. base: digest of the base's weights. experts: {name: digest of
    its weights}. lam: lambda. parameters: the method's others; defaults are filled in. seed: kept
    only by a method that draws at random. Raises ValueError for a method, parameter or value that
    is not allowed, for no expert, and for a missing seed.
    """

    method: str
    base: str
    experts: Mapping[str, str]
    lam: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        method = get_method(self.method)
        if not self.experts:
            raise ValueError("there is no expert to merge")
        if method.stochastic and self.seed is None:
            raise ValueError(f"{self.method} draws at random and needs a seed")
        lam = method.checked_lambda(self.lam)
        # Frozen: the canonical values take the place of the given ones once and for all.
        object.__setattr__(self, "experts", dict(sorted(self.experts.items())))
        object.__setattr__(self, "parameters", method.canonical(self.parameters))
        object.__setattr__(self, "lam", lam)
        object.__setattr__(self, "seed", int(self.seed) if method.stochastic else None)

    def as_dict(self) -> dict[str, Any]:
        """The recipe for a JSON file; no seed where none is used."""
        content = {
            "method": self.method,
            "parameters": dict(self.parameters),
            LAMBDA: self.lam,
            "base": self.base,
            "experts": dict(self.experts),
        }
        return content if self.seed is None else content | {"seed": self.seed}

    def digest(self) -> str:
        """SHA-256 of the recipe as canonical JSON; the base's own digest where lambda is 0.

        For then the merge is the base, whatever the method and the experts.
        """
        if self.lam == 0:
            return self.base
        return record_digest(self.as_dict())
