"""Arrays and loaders of a user give the same networks and figures, end to end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurodeploy as nd

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.datasets import load_digits  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.network import Network  # noqa: E402

MEAN, STD = 0.3, 0.4
N_TRAIN = 200


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 ``[N, 1, 8, 8]`` of 0 ... 255, and labels."""
    bunch = load_digits()
    return np.rint(bunch.images[:, None] * 15).astype(np.uint8), bunch.target


@pytest.fixture(scope="module")
def network(digits: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    """A network that takes normalized images, trained a little."""
    x, y = digits
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
    given = normalized(x[:N_TRAIN])
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(given), torch.from_numpy(y[:N_TRAIN])).backward()
        optimizer.step()
    return module.eval()


def normalized(x: np.ndarray) -> Any:
    """ToTensor and Normalize: both in float32."""
    return (torch.from_numpy(x).to(torch.float32).div(255) - MEAN) / STD


def loader(x: np.ndarray, y: np.ndarray) -> Any:
    return DataLoader(TensorDataset(normalized(x), torch.from_numpy(y)), batch_size=33)


def same_network(one: Network, other: Network) -> None:
    assert one.netlist == other.netlist
    assert dict(one.encodings) == dict(other.encodings)


@pytest.mark.parametrize("method", ["rate", "graded"])
def test_arrays_and_loaders_give_identical_netlists(
    method: str, digits: tuple[np.ndarray, np.ndarray], network: nn.Module
) -> None:
    x, y = digits
    train, test = slice(0, N_TRAIN), slice(N_TRAIN, N_TRAIN + 60)
    forms = [
        lambda s: Samples(x[s], y[s], norm=(MEAN, STD)),
        lambda s: Samples(loader(x[s], y[s]), normalized=(MEAN, STD)),
        lambda s: Samples(np.moveaxis(x[s], 1, -1), y[s], norm=(MEAN, STD), layout="NHWC"),
        lambda s: Samples((torch.from_numpy(x[s]).float() / 255, y[s]), norm=(MEAN, STD)),
    ]
    made = []
    for form in forms:
        net = nd.convert(network, form(train), method=method, timesteps=8)
        quantized = nd.quantize(net, 6)
        made.append((net, quantized, nd.evaluate(quantized, form(test))))
    net, quantized, evaluation = made[0]
    assert evaluation.source_accuracy is not None
    assert evaluation.source_accuracy > 0.8
    assert evaluation.accuracy is not None
    assert evaluation.accuracy > 0.6
    for other_net, other_quantized, other_evaluation in made[1:]:
        same_network(net, other_net)
        same_network(quantized, other_quantized)
        assert evaluation == other_evaluation


def test_arrays_stand_wherever_data_are_taken(
    digits: tuple[np.ndarray, np.ndarray], network: nn.Module
) -> None:
    x, y = digits
    bare = nn.Sequential(*list(network)[:2]).eval()
    images = DataLoader(
        TensorDataset(torch.from_numpy(x[:80]), torch.from_numpy(y[:80] % 24)), batch_size=9
    )
    given = (x[:80], y[:80] % 24)
    net = nd.convert(bare, given, method="rate", timesteps=4)
    same_network(net, nd.convert(bare, images, method="rate", timesteps=4))
    rounded = nd.quantize(net, 4, data=given)
    same_network(rounded, nd.quantize(net, 4, data=images))
    assert nd.evaluate(rounded, given) == nd.evaluate(rounded, images)
    assert nd.diagnose(rounded, given, 5) == nd.diagnose(rounded, images, 5)
    deployed = nd.compile(rounded, "brian2", codegen="numpy")
    assert nd.verify(deployed, "reference", given, 2).exact
    report = nd.estimate_energy(rounded, "loihi2", given, 2)
    assert report.to_dict() == nd.estimate_energy(rounded, "loihi2", images, 2).to_dict()


def test_the_normalization_is_part_of_the_network(
    digits: tuple[np.ndarray, np.ndarray], network: nn.Module
) -> None:
    x, y = digits
    data = Samples(x[:80], y[:80], norm=(MEAN, STD))
    net = nd.convert(network, data, method="rate", timesteps=4)
    assert nd.evaluate(net, (x[:80], y[:80])) == nd.evaluate(net, data)
    with pytest.raises(nd.errors.DataError, match=r"with 0\.\d+/0\.\d+, which is part of it"):
        nd.evaluate(net, Samples(x[:5], y[:5], norm=(MEAN, 2 * STD)))
    with pytest.raises(nd.errors.DataError, match=r"layout='NHWC'"):
        nd.evaluate(net, Samples(np.moveaxis(x[:5], 1, -1), norm=(MEAN, STD)))
