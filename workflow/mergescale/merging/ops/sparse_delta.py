"""What trimming or dropping leaves of a task vector, told and not yet computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergescale.merging.ops.trim import trim

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class SparseDelta:
    """An expert's entries in a chunk; a loop over several experts computes them on its way.

    Attributes:
        delta: the task vector, fp32, 1-D.
        weight: the expert's; a factor.
        smallest: TIES' threshold: entries of smaller magnitude are 0.
        until: entries of just this magnitude are 0 too from this index on; None: nowhere.
        kept: DARE's mask, bool: entries elsewhere are 0.
        share: the others are divided by this, before the weight.
    """

    delta: Tensor
    weight: float = 1.0
    smallest: float = 0.0
    until: int | None = None
    kept: np.ndarray | None = None
    share: float = 1.0

    def tensor(self) -> Tensor:
        """The entries; not to be changed, as they may be the task vector itself."""
        import torch

        left = trim(self.delta, self.smallest, self.until)
        if self.kept is not None:
            # As bytes: torch turns those into numbers several times faster than booleans.
            ones = torch.from_numpy(self.kept.view("int8")).to(left.device).to(left.dtype)
            left = ones.mul_(left).div_(self.share)
        return left if self.weight == 1 else left * self.weight
