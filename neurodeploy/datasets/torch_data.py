"""Tensors, and data sets and loaders of torch, as arrays."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.datasets.values import LABELS
from neurodeploy.errors import DataError, NeurodeployError, UsageError, first_line
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.loading.aside import printing_aside

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

BATCH = 256
READ_TWICE = 16
"""Samples that are read a second time, to see whether a transform is random."""


def is_torch_data(value: object) -> bool:
    """Whether it is a torch Dataset or DataLoader; torch is not imported to find out."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(value, (data.Dataset, data.DataLoader))


def as_array(value: object) -> AnyArray | None:
    """An array of a tensor or an array; None for anything else.

    Raises
    ------
    DataError
        For one that does not hold a value in every place.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DataError("data: a masked array; pass x.filled(VALUE), or what is not masked")
    if isinstance(value, np.ndarray):
        return value
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return None
    if value.is_meta or value.layout is not torch.strided or value.is_quantized:
        kind = "meta" if value.is_meta else str(value.layout).removeprefix("torch.")
        kind = "quantized" if value.is_quantized else kind
        raise DataError(f"data: a {kind} tensor; pass a dense one with values, as x.to_dense()")
    tensor = value.detach().cpu()
    array: AnyArray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def read_torch(data: Any) -> tuple[AnyArray | dict[str, AnyArray], AnyArray | None]:
    """Read a Dataset or DataLoader once: samples (an array, or one per input) and labels.

    Raises
    ------
    DataError
        If samples differ when they are read again, as by shuffling or augmentation.
    UsageError
        For batches of another form than x, ``(x, y)`` or a mapping of inputs (labels as ``y``, or
        called so otherwise), and for data that cannot be read.
    """
    from torch.utils.data import DataLoader

    loader = data if isinstance(data, DataLoader) else DataLoader(data, batch_size=BATCH)
    where = type(loader.dataset).__name__
    if loader.batch_size is None and loader.batch_sampler is None:
        raise UsageError(f"{where}: batch_size=None gives no batches of samples; pass another")
    try:
        with printing_aside():
            _expect_same_twice(where, loader)
            batches = [_batch(where, batch) for batch in loader]
    except (NeurodeployError, MemoryError):
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        if Path(place.filename).name == "collate.py":
            raise UsageError(
                f"{where}: samples cannot be joined to batches ({first_line(error)}); give "
                "tensors of one shape, as by the transforms Resize and ToTensor"
            ) from error
        at = f"line {place.lineno} of {Path(place.filename).name}"
        raise UsageError(
            f"{where}: a sample cannot be read: {type(error).__name__}: {first_line(error)} ({at})"
        ) from error
    if not batches:
        raise DataError(f"{where}: gives no samples; at least 1 is needed")
    inputs = {name: np.concatenate([x[name] for x, _ in batches]) for name in batches[0][0]}
    labels = [y for _, y in batches if y is not None]
    only = inputs.get("")
    return inputs if only is None else only, np.concatenate(labels) if labels else None


def _batch(where: str, batch: Any) -> tuple[dict[str, AnyArray], AnyArray | None]:
    x, y = batch, None
    if isinstance(batch, tuple | list):
        x, y = batch if len(batch) == 2 else (None, None)
    elif isinstance(batch, Mapping):
        label = next((name for name in LABELS if name in batch), None)
        x = {name: values for name, values in batch.items() if name != label}
        y = batch.get(label)
    given = {str(k): as_array(v) for k, v in (x if isinstance(x, Mapping) else {"": x}).items()}
    inputs = {name: values for name, values in given.items() if values is not None}
    labels = as_array(y)
    if len(inputs) != len(given) or (y is not None and labels is None):
        raise UsageError(
            f"{where}: gives {_form(batch)}; expected a tensor x, (x, y) with integer labels or "
            "float targets y, or a mapping of inputs with them as y"
        )
    return inputs, labels


def _form(batch: Any) -> str:
    if isinstance(batch, tuple | list):
        return f"({', '.join(type(part).__name__ for part in batch)})"
    return type(batch).__name__


def _expect_same_twice(where: str, loader: DataLoader[Any]) -> None:
    from torch.utils.data import IterableDataset, SequentialSampler

    if isinstance(loader.dataset, IterableDataset):
        stream = loader.dataset
        same = _equal(*(list(islice(iter(stream), READ_TWICE)) for _ in range(2)))
    else:
        order: Any = loader.batch_sampler
        own = getattr(order, "sampler", order)
        if type(own) is not SequentialSampler and list(order) != list(order):
            raise DataError(
                f"{where}: the loader shuffles, so that a second pass would not give the same "
                "samples; pass DataLoader(dataset, shuffle=False), or the dataset itself"
            )
        picked = list(islice(chain.from_iterable(order), READ_TWICE))
        reads = ([loader.dataset[i] for i in picked] for _ in range(2 if picked else 0))
        same = not picked or _equal(*map(loader.collate_fn, reads))
    if not same:
        raise DataError(
            f"{where}: a sample that is read twice differs, as random augmentation makes it; pass "
            "the data with the transform of evaluation"
        )


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return list(a) == list(b) and _equal(list(a.values()), list(b.values()))
    left, right = as_array(a), as_array(b)
    if left is None or right is None:
        return bool(a == b)
    return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
