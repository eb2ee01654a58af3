"""Compressed sparse matrices of PyTorch from lists of synapses."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


def sparse_matrix(
    post: npt.NDArray[np.int64],
    pre: npt.NDArray[np.int64],
    weight: npt.NDArray[Any],
    shape: tuple[int, int],
    dtype: torch.dtype,
) -> torch.Tensor:
    """The matrix ``[n_post, n_pre]`` in compressed rows.

    Synapses that are listed row by row with rising columns are taken as they are.
    """
    flat = post * shape[1] + pre
    if (np.diff(flat) < 0).any():
        order = np.argsort(flat)
        post, pre, weight = post[order], pre[order], weight[order]
    rows = np.concatenate([[0], np.cumsum(np.bincount(post, minlength=shape[0]))])
    with warnings.catch_warnings():
        # PyTorch announces that its sparse tensors are in beta.
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(
            torch.tensor(rows),
            torch.tensor(pre),
            torch.tensor(weight, dtype=dtype),
            shape,
            check_invariants=True,
        )
