"""Networks trained with clip-floor activations (QCFS) convert without any error."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.ir.decoding import decode  # noqa: E402
from neurodeploy.ir.encoding import encode  # noqa: E402
from neurodeploy.ir.reference import run_reference  # noqa: E402

LEVELS = 8


class ClipFloor(nn.Module):
    """The activation of Bu et al. 2022, arXiv 2303.04347, as its authors write it."""

    def __init__(self, up: float) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.tensor([up]), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x / self.up
        x = torch.clamp(x, 0, 1)
        x = torch.floor(x * LEVELS + 0.5) / LEVELS
        return x * self.up


@pytest.mark.parametrize("top", [0.75, 0.125], ids=["none saturate", "many saturate"])
@pytest.mark.parametrize("steps", [1, 4])
def test_graded_spikes_keep_the_levels_of_the_network(steps: int, top: float) -> None:
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Conv2d(1, 6, 3), ClipFloor(top), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3), ClipFloor(top / 2),
        nn.Flatten(), nn.Linear(8 * 4, 5),
    ).eval()  # fmt: skip
    # Weights and pixels on a grid: every sum is exact, so that no rounding decides a floor.
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data = (layer.weight.data * 32).round() / 32
            layer.bias.data = (layer.bias.data * 32).round() / 32 + 1 / 128
    x = np.random.default_rng(0).integers(0, 17, (12, 1, 10, 10)).astype(np.float32) / 16
    data = Samples(x, name="made up")
    network = nd.convert(
        module, data, method="graded", timesteps=steps, bias_correction=0, input_levels=16,
        average_pooling="fold",
    )  # fmt: skip
    stimulus = {n: encode(e, x, steps) for n, e in network.encodings.items()}
    run = run_reference(network.netlist, stimulus)
    (output,) = network.netlist.outputs
    with torch.no_grad():
        expected = module(torch.tensor(x)).numpy()
    np.testing.assert_allclose(decode(network.netlist, output, run), expected, atol=1e-5)
