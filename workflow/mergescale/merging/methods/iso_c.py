"""Iso-C: isotropic merging in the common subspace (Marczak et al., 2025, arXiv 2502.04959).

Add the task vectors of a matrix up and set all singular values of the sum to their mean, so that no
direction dominates. Tensors that are not matrices are averaged.
"""

from mergescale.merging.method import SWEPT_LAMBDA, Method


def flatten_spectrum(matrix):
    """Return U mean(sigma) V^T for a matrix U diag(sigma) V^T; 2-D, computed in float64.

    The singular vectors of a singular value of 0 are arbitrary. They are left out, of the mean as
    well, so that the result is a function of the matrix; the nuclear norm is kept.
    """
    import torch

    u, sigma, vt = torch.linalg.svd(matrix.double(), full_matrices=False)
    tolerance = max(matrix.shape) * torch.finfo(torch.float64).eps * sigma.max()
    rank = int((sigma > tolerance).sum())
    if rank == 0:
        return torch.zeros_like(matrix)
    # Signs of singular vectors, which depend on the machine, cancel in the product.
    return (u[:, :rank] @ vt[:rank] * sigma[:rank].mean()).to(matrix.dtype)


def merge(block):
    """tau = U mean(sigma) V^T where sum_i w_i tau_i = U diag(sigma) V^T; else mean_i(w_i tau_i)"""
    total = block.weighted_sum()
    if len(block.shape) != 2:
        return total / len(block.deltas)
    return flatten_spectrum(total.view(block.shape)).reshape(-1)


METHOD = Method(
    name="iso_c",
    title="Iso-C",
    merge=merge,
    granularity="matrix",
    parameters=(SWEPT_LAMBDA,),
)
