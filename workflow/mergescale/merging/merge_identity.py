"""The identity of a merge: everything that decides its weights, as a digest.

The study caches evaluations under these digests, so that no merge is evaluated twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from mergescale.checkpoints.folder import weight_files
from mergescale.merging.method import LAMBDA
from mergescale.merging.registry import get_method
from mergescale.provenance.digests import record_digest


def weights_digest(folder: str | Path) -> str:
    """Return the SHA-256 (hexadecimal) of a folder's safetensors files, in order of their names.

    For a folder with a single file it is what `sha256sum model.safetensors` prints.
    """
    digest = sha256()
    for path in weight_files(folder):
        with path.open("rb") as file:
            file_digest(file, lambda: digest)  # continues the digest of the files before
    return digest.hexdigest()


@dataclass(frozen=True)
class MergeIdentity:
    """What is merged, and how. Equal digests mean equal weights, bit for bit.

    Attributes:
        method: A method's name.
        base: Digest of the base's weights.
        experts: {name: digest of the expert's weights}; sorted by name.
        lam: lambda.
        parameters: The method's other parameters in canonical form; defaults are filled in.
        seed: Of a method that draws random numbers, else None.
        statistics: {kind: {expert: digest of its statistics file}}, for a method that requires
            statistics files.

    Raises:
        ValueError: For a method, parameter or value that is not allowed, for no expert, for a
            missing seed, and for missing statistics.
    """

    method: str
    base: str
    experts: Mapping[str, str]
    lam: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    statistics: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the fields and set canonical values in their place."""
        method = get_method(self.method)
        if not self.experts:
            raise ValueError("there is no expert to merge")
        if method.stochastic and self.seed is None:
            raise ValueError(f"{self.method} draws random numbers and needs a seed")
        lam = method.checked_lambda(self.lam)
        parameters = method.canonical(self.parameters)
        statistics = {}
        for kind in method.statistics_files(parameters):
            digests = self.statistics.get(kind, {})
            if missing := sorted(self.experts.keys() - digests.keys()):
                raise ValueError(f"{self.method} needs {kind} statistics of {', '.join(missing)}")
            statistics[kind] = {expert: digests[expert] for expert in sorted(self.experts)}
        # The dataclass is frozen: canonical values replace the given ones once and for all.
        object.__setattr__(self, "experts", dict(sorted(self.experts.items())))
        object.__setattr__(self, "parameters", parameters)
        object.__setattr__(self, "lam", lam)
        object.__setattr__(self, "seed", int(self.seed) if method.stochastic else None)
        object.__setattr__(self, "statistics", statistics)

    def as_dict(self) -> dict[str, Any]:
        """Return the identity for a JSON file; no seed or statistics where none are used."""
        content = {
            "method": self.method,
            "parameters": dict(self.parameters),
            LAMBDA: self.lam,
            "base": self.base,
            "experts": dict(self.experts),
        }
        if self.statistics:
            content["statistics"] = dict(self.statistics)
        return content if self.seed is None else content | {"seed": self.seed}

    def digest(self) -> str:
        """Return the SHA-256 of the identity as canonical JSON.

        Where lambda is 0 it is the base's digest: the merge is then the base, whatever the method
        and the experts.
        """
        if self.lam == 0:
            return self.base
        return record_digest(self.as_dict())
