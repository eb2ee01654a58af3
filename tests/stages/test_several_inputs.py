"""A network with two inputs and two outputs, from data to verified spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks are converted with torch")
from torch import nn  # noqa: E402

from neurodeploy import api  # noqa: E402
from neurodeploy.datasets import as_samples  # noqa: E402
from neurodeploy.errors import ConversionError, DataError  # noqa: E402
from neurodeploy.render.evaluation import evaluation_parts  # noqa: E402
from neurodeploy.verification.inference import infer  # noqa: E402

RNG = np.random.default_rng(0)
IMAGE = RNG.random((24, 1, 6, 6), np.float32)
TOUCH = RNG.random((24, 4), np.float32)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image = nn.Conv2d(1, 3, 3, stride=2, padding=1)
        self.touch = nn.Linear(4, 8)
        self.mixed = nn.Linear(3 * 9 + 8, 10)
        self.pose = nn.Linear(10, 3)
        self.force = nn.Linear(8, 1)

    def forward(self, image: Any, touch: Any) -> Any:
        felt = torch.relu(self.touch(touch))
        seen = torch.relu(self.image(image)).flatten(1)
        mixed = torch.relu(self.mixed(torch.cat([seen, felt], 1)))
        return self.pose(mixed), self.force(felt)


def saved(folder: Path, **arrays: Any) -> str:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("two"), touch=TOUCH, image=IMAGE)


@pytest.fixture(scope="module")
def net(data: str) -> Any:
    return api.quantize(api.convert(Two().eval(), data, method="rate", timesteps=24), 8)


def test_inputs_are_found_by_name(net: Any) -> None:
    assert list(net.encodings) == ["image", "touch"]
    assert net.analog.inputs == ("image", "touch")
    assert len(net.netlist.outputs) == 2


def test_it_runs_exactly_and_says_how_near_it_is(net: Any, data: str) -> None:
    evaluation = api.evaluate(net, data)
    assert evaluation.agreement is None
    assert evaluation.accuracy is None
    spread = {"output_pose": 0.1, "output_force": 0.1}
    assert evaluation.output_rmse.keys() == spread.keys()
    assert all(0 < evaluation.output_rmse[name] < limit for name, limit in spread.items())
    assert "output_force" in "\n\n".join(evaluation_parts([evaluation]))
    assert "RMSE" in "\n\n".join(evaluation_parts([evaluation]))
    assert api.estimate_energy(net, "loihi2", data, 3).network == "Two"


def test_brian2_agrees(net: Any, data: str) -> None:
    pytest.importorskip("brian2", reason="the target needs brian2")
    deployment = api.compile(net, "brian2")
    verification = api.verify(deployment, "engine,reference", data, 4)
    assert verification.exact
    assert verification.agreement is not None
    assert min(v or 0 for v in verification.agreement.correlation.values()) > 0.98
    stimulus, dataset = api.stimulus_for(net, data, 4)
    answers = infer(deployment, stimulus, dataset.y).outputs
    with torch.no_grad():
        pose, force = Two().eval()(torch.tensor(IMAGE[:4]), torch.tensor(TOUCH[:4]))
    np.testing.assert_allclose(answers["output_pose"], pose, atol=0.1)
    np.testing.assert_allclose(answers["output_force"], force, atol=0.1)


def test_inputs_by_place(tmp_path: Path) -> None:
    text = saved(tmp_path, x1=TOUCH, x0=IMAGE)
    net = api.convert(Two().eval(), text, method="rate", timesteps=4, input="poisson")
    assert list(net.encodings) == ["image", "touch"]
    first, second = net.encodings.values()
    assert first.seed != second.seed, "two inputs that draw the same numbers would be correlated"
    dataset = as_samples(text, "test").subset([3, 1])
    np.testing.assert_array_equal(dataset.inputs_for(("a", "b"))["b"], TOUCH[[3, 1]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGE}, "holds x, the network takes image, touch; save an .npz file"),
        ({"image": IMAGE, "sound": TOUCH}, "holds image, sound, the network takes image, touch"),
        ({"image": IMAGE, "touch": TOUCH[:5]}, "inputs differ in number of samples"),
        ({"image": IMAGE, "touch": TOUCH * 3}, r"touch lies in .* outside \[0, 1\]"),
        ({"sound": IMAGE}, "no array x, only sound"),
        ({"sound": IMAGE, "labels": np.arange(24)}, "no array x, only sound, labels"),
    ],
)
def test_other_data(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        api.convert(Two().eval(), saved(tmp_path, **arrays), method="rate", timesteps=4)
    assert "\n" not in str(caught.value)


def test_a_network_with_one_input_takes_one(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    with pytest.raises(DataError, match="the network takes input; save one array x"):
        api.convert(module, saved(tmp_path, image=IMAGE, touch=TOUCH), method="rate", timesteps=4)


class Deaf(Two):
    def forward(self, image: Any, touch: Any) -> Any:
        return self.image(image)


def test_an_input_that_nothing_depends_on(data: str) -> None:
    with pytest.raises(ConversionError, match=r"no output of the module depends on .*'touch'"):
        api.convert(Deaf().eval(), data, method="rate", timesteps=4)
