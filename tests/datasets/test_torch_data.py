"""Samples of torch: tensors, data sets and loaders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import (  # noqa: E402
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
)

from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.errors import DataError, UsageError  # noqa: E402

BYTES = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 5), dtype=np.uint8)
UNIT = (BYTES / 255).astype(np.float32)
LABELS = np.arange(20) % 7
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Images(Dataset):
    """Images with a transform, as torchvision has them."""

    def __init__(self, *transforms: Any) -> None:
        self.transforms = transforms
        self.read = 0

    def __len__(self) -> int:
        return len(BYTES)

    def __getitem__(self, index: int) -> Any:
        self.read += 1
        x: Any = BYTES[index]
        for transform in self.transforms:
            x = transform(x)
        return x, int(LABELS[index])


def to_tensor(image: np.ndarray) -> Any:
    return torch.from_numpy(image).to(torch.float32).div(255)


def normalize(image: Any) -> Any:
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (MEAN, STD))
    return image.clone().sub_(mean).div_(std)


def flip(image: Any) -> Any:
    return image.flip(-1) if torch.rand(()) < 0.5 else image


def same(data: Samples) -> None:
    np.testing.assert_array_equal(data.x, UNIT)
    np.testing.assert_array_equal(data.y, LABELS)
    assert data.levels == 255


def test_tensors() -> None:
    x, y = torch.from_numpy(UNIT), torch.from_numpy(LABELS)
    same(Samples(x, y))
    same(Samples((x.requires_grad_(), y)))
    same(Samples(torch.from_numpy(BYTES), y.to(torch.int32)))
    exact = torch.tensor([[0.5, 0.25]]).to(torch.bfloat16)
    assert Samples(exact).x.tolist() == [[0.5, 0.25]]


def test_loaders_and_data_sets_give_what_the_array_gives() -> None:
    data = Images(to_tensor)
    for given in (
        data,
        DataLoader(data, batch_size=7),
        DataLoader(data, batch_size=None),
        DataLoader(Images(), batch_size=3),
        TensorDataset(torch.from_numpy(UNIT), torch.from_numpy(LABELS)),
    ):
        if isinstance(given, DataLoader) and given.batch_size is None:
            with pytest.raises(UsageError, match="Images: batch_size=None"):
                Samples(given)
        else:
            same(Samples(given))


def test_a_loader_is_read_once() -> None:
    data = Images(to_tensor)
    made = Samples(DataLoader(data, batch_size=8))
    assert data.read == 20 + 2 * 16
    made.first(5), made[3:], list(made.parts(4))
    assert data.read == 20 + 2 * 16


def test_normalized_loaders_give_the_bytes() -> None:
    loader = DataLoader(Images(to_tensor, normalize), batch_size=8)
    data = Samples(loader, normalized=(MEAN, STD))
    same(data)
    assert data.norm is not None
    assert data.norm.mean == MEAN
    with pytest.raises(DataError, match=r"pass normalized=\(mean, std\)"):
        Samples(loader)
    with pytest.raises(DataError, match="no k / 255"):
        Samples(loader, normalized=((0.485, 0.456, 0.406), STD))


@pytest.mark.parametrize("given", [{"shuffle": True}, {"sampler": SubsetRandomSampler(range(9))}])
def test_shuffling_loaders_are_refused(given: dict[str, Any]) -> None:
    loader = DataLoader(Images(to_tensor), batch_size=4, **given)
    with pytest.raises(DataError, match=r"Images: the loader shuffles.*shuffle=False"):
        Samples(loader)


def test_augmented_data_are_refused() -> None:
    for data in (Images(to_tensor, flip), DataLoader(Images(to_tensor, flip), batch_size=4)):
        with pytest.raises(DataError, match=r"read twice differs.*transform of evaluation"):
            Samples(data)


def test_a_sampler_that_keeps_its_order() -> None:
    chosen = [5, 3, 11]
    data = Samples(DataLoader(Images(to_tensor), sampler=chosen, batch_size=2))
    np.testing.assert_array_equal(data.x, UNIT[chosen])
    np.testing.assert_array_equal(data.y, LABELS[chosen])


class Stream(IterableDataset):
    """The images, in their order; random ones where that is asked for."""

    def __init__(self, random: bool = False) -> None:
        self.random = random

    def __iter__(self) -> Any:
        for x, y in zip(UNIT, LABELS, strict=True):
            yield torch.from_numpy(x) * (torch.rand(()) if self.random else 1), int(y)


def test_streams() -> None:
    same(Samples(DataLoader(Stream(), batch_size=6)))
    with pytest.raises(DataError, match="read twice differs"):
        Samples(Stream(random=True))


class Items(Dataset):
    """Any list, or a mapping of places."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def test_forms_of_batches() -> None:
    x = [torch.from_numpy(v) for v in UNIT]
    alone = Samples(Items(x))
    assert alone.y is None
    np.testing.assert_array_equal(alone.x, UNIT)
    named = Samples(Items([{"a": v, "b": v[0], "y": 3} for v in x]))
    assert list(named.named) == ["a", "b"]
    assert set(named.y.tolist()) == {3}
    for items, words in (
        ([(v, 1, 2) for v in x], "gives (Tensor, Tensor, Tensor); expected"),
        ([(v, "cat") for v in x], "gives (Tensor, tuple); expected"),
        ([object()] * 3, "cannot be joined"),
        ([x[0], x[0][:, 1:]], "cannot be joined to batches (stack expects each tensor to be equal"),
    ):
        with pytest.raises(UsageError) as caught:
            Samples(Items(items))
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"cannot be read: KeyError: 0 \(line \d+ of test_torch"):
        Samples(Items({1: x[1], 2: x[2]}))
    # As data sets of Hugging Face are.
    images = Samples(Items([{"image": v, "label": 3} for v in x]))
    np.testing.assert_array_equal(images.inputs_for(["input"])["input"], UNIT)
    assert set(images.y.tolist()) == {3}
    aimed = Samples(Items([(v, 0.5) for v in x]))
    assert aimed.y is None
    assert aimed.targets is not None
    assert aimed.targets.tolist() == [0.5] * len(x)
    with pytest.raises(DataError, match="gives no samples"):
        Samples(Items([]))


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.empty(2, 3, device="meta"), "meta"),
        (torch.eye(3).to_sparse(), "sparse_coo"),
    ],
)
def test_tensors_without_values_are_refused(tensor: Any, kind: str) -> None:
    with pytest.raises(DataError, match=f"a {kind} tensor; pass a dense one"):
        Samples(tensor)
