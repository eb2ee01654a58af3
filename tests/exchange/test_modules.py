"""Modules as networks: loops, states, what is refused, and the command. No framework is needed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import neurodeploy as nd
from neurodeploy.cli import run as command
from neurodeploy.errors import ConversionError, UnsupportedLayerError, UsageError
from neurodeploy.ir.reference import run_reference
from tests.exchange.neurons import Alpha, Leaky


def imported(module: nn.Module, shape: Any = 12, **options: Any) -> nd.Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nd.import_network(module.eval(), shape=shape, **options)


def raster(T: int, *shape: int, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    return (random.random((4, T, *shape)) < 0.4).astype(np.int64)


class Two(nn.Module):
    """Two layers, in a form that subclasses choose."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.fc1, self.fc2 = nn.Linear(12, 10), nn.Linear(10, 5)
        self.back = nn.Linear(5, 10)
        for layer in (self.fc1, self.fc2):
            layer.weight.data *= 4
        self.lif1, self.lif2 = Leaky(0.8), Leaky(0.6)


class Step(Two):
    def forward(self, x, mem1, mem2):
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class Loop(Two):
    def forward(self, x):
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            out.append(spk2)
        return torch.stack(out)


class BatchFirst(Two):
    def forward(self, x):
        mem1, mem2, total = self.lif1.reset_mem(), self.lif2.reset_mem(), 0
        for step in range(x.shape[1]):
            spk1, mem1 = self.lif1(self.fc1(x[:, step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            total = total + spk2
        return total / x.shape[1]


class Held(Two):
    def forward(self, x):
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for _ in range(9):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            out.append(spk2)
        return torch.stack(out, dim=1).sum(1)


class Back(Two):
    """Both layers hear the other's spikes of the step before."""

    late = True

    def forward(self, x):
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spk1, spk2 = torch.zeros(x.shape[1], 10), torch.zeros(x.shape[1], 5)
        for now in x:
            old = spk1
            spk1, mem1 = self.lif1(self.fc1(now) + self.back(spk2), mem1)
            spk2, mem2 = self.lif2(self.fc2(old if self.late else spk1), mem2)
        return spk2


def spikes_of(module: nn.Module, run: Any) -> dict[str, Any]:
    found: dict[str, list[torch.Tensor]] = {"lif1": [], "lif2": []}
    for name, kept in found.items():
        layer = getattr(module, name)
        layer.register_forward_hook(lambda m, i, o, kept=kept: kept.append(o[0]))
    with torch.no_grad():
        run(module.double())
    return {name: torch.stack(kept, 1).numpy() for name, kept in found.items()}


@pytest.mark.parametrize("form", [Step, Loop, BatchFirst, Held, Back])
def test_every_form_of_time_gives_every_spike(form: type[Two]) -> None:
    network = form()
    net = imported(network, timesteps=9)
    x = raster(9, 12)
    if form is Held:
        x[:] = x[:, :1]
    given = torch.tensor(x, dtype=torch.float64)

    def run(module: nn.Module) -> None:
        if form is Step:
            states = [torch.zeros(0).double()] * 2
            for now in given.unbind(1):
                _, *states = module(now, *states)
        elif form is Held:
            module(given[:, 0])
        else:
            module(given if form is BatchFirst else given.transpose(0, 1))

    torch.set_default_dtype(torch.float64)
    try:
        expected = spikes_of(network, run)
    finally:
        torch.set_default_dtype(torch.float32)
    record = run_reference(net.netlist, {"input": x})
    for name, spikes in expected.items():
        assert 0.02 < spikes.mean() < 0.8
        assert np.array_equal(record.spikes[name], spikes), name
    assert [o.population for o in net.netlist.outputs] == ["lif2"]


def test_the_steps_of_a_loop_are_those_of_the_netlist() -> None:
    with pytest.warns(nd.NeurodeployWarning, match="T = 9 steps"):
        net = nd.import_network(Held().eval(), shape=12)
    assert net.netlist.timesteps == 9
    with pytest.warns(nd.NeurodeployWarning, match="the module computes 9 steps, the netlist 4"):
        nd.import_network(Held().eval(), shape=12, timesteps=4)
    with pytest.warns(nd.NeurodeployWarning, match="one value in all its steps"):
        nd.import_network(Held().eval(), shape=12, timesteps=9)


def test_a_cycle_without_time_is_refused_with_its_path_and_numbers() -> None:
    module = Back()
    module.late = False
    text = "cycle lif1 -> lif2 -> lif1: lif1 -> lif2 takes no step .* 2 populations need 2 .* has 1"
    with pytest.raises(UnsupportedLayerError, match=text):
        imported(module)


class Twice(Two):
    def forward(self, x):
        return self.lif1(self.fc1(x))[0] + self.lif1(self.fc1(x) * 2)[0]


class Renewed(Two):
    def forward(self, x):
        for _ in range(3):
            spikes, _ = self.lif1(self.fc1(x), self.lif1.reset_mem())
        return spikes


class Drawn(Two):
    def forward(self, x):
        return self.lif1(self.fc1(x), torch.rand(x.shape[0], 10))[0]


class Membranes(Two):
    def forward(self, x):
        return self.fc2(self.lif1(self.fc1(x))[1])


class Growing(Two):
    def forward(self, x):
        mem, out = self.lif1.reset_mem(), []
        for step in range(3):
            spikes, mem = self.lif1(self.fc1(x) * step, mem)
            out.append(spikes)
        return torch.stack(out)


class Seldom(Two):
    def forward(self, x):
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        for step in range(4):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            if step < 2:
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk1, spk2


class Gated(Two):
    def forward(self, x):
        spikes, _ = self.lif1(self.fc1(x))
        return self.lif2(self.fc2(spikes * self.fc1(x)))[0]


class Late(Two):
    """After as many steps as a first look sees, another layer is between."""

    def forward(self, x):
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step, now in enumerate(x):
            spk1, mem1 = self.lif1(self.fc1(now), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1 if step < 5 else -spk1), mem2)
            out.append(spk2)
        return torch.stack(out)


class Answering(Loop):
    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, x):
        return super().forward(x)[self.step]


class Within(Two):
    def __init__(self, function: Any, spikes: bool = False) -> None:
        super().__init__()
        self.function, self.spikes = function, spikes

    def forward(self, x):
        if not self.spikes:
            return self.lif1(self.function(self.fc1(x)))[0]
        return self.lif2(self.fc2(self.function(self.lif1(self.fc1(x))[0])))[0]


def changed(**attributes: Any) -> nn.Module:
    return nn.Sequential(nn.Linear(12, 5), Leaky(init_hidden=True, **attributes))


class Own(Leaky):
    def forward(self, x: torch.Tensor, mem: Any = None) -> Any:
        return super().forward(2 * x, mem)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (Twice(), "lif1: what it hears in step 0 is not what it hears later.* needs a copy"),
        (Late(), r"lif2: what it hears in step 0 is not .*\(test_modules.py:[0-9]+\)"),
        (Renewed(), "'lif1' begins anew in step 1; hand its state on"),
        (Drawn(), "random values in every call"),
        (Answering(0), "returns step 1 of 3 alone; return all of them, or what they add up to"),
        (
            Within(lambda x: (torch.rand_like(x) < x).float()),
            "drawn.* give --input poisson in place",
        ),
        (Within(lambda x: x.int().float()), "conversion to torch.int32 rounds values"),
        (Within(lambda x: x.half().float(), True), "conversion to torch.float16 rounds values"),
        (Within(lambda x: (x > 0).float(), True), "function between spiking layers"),
        (Within(lambda x: (x > 0) @ torch.eye(10)), "does not run on the values of one step: "),
        (Membranes(), "linear of a state of 'lif1': only spikes travel"),
        (Growing(), "lif1: what it hears in step 0 is not what it hears later"),
        (Seldom(), "lif2: is called in 2 of 4 steps"),
        (Gated(), "product of two activations"),
        (nn.Sequential(nn.Linear(12, 5), Alpha()), "1: snntorch's Alpha is not read; known: Leaky"),
        (nn.Sequential(nn.Linear(12, 5), Own()), r"1 \(Own\): a Leaky with a forward of its own"),
        (nn.Sequential(nn.Linear(12, 5), nn.ReLU(), *changed()[1:]), "relu between spiking layers"),
        (changed(inhibition=True), r"1 \(Leaky\): inhibition: only the neuron with the highest"),
        (changed(state_quant=len), "state_quant rounds its states"),
        (changed(threshold=-1.0), "threshold -1; expected above 0"),
        (changed(reset_delay=False), "reset_delay=False with reset 'subtract'"),
        (changed(spike_grad=torch.sigmoid), "its spike function gives 0.119"),
        (changed(beta=torch.rand(4)), r"beta of shape \(4,\) for \(5,\) neurons"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(module: nn.Module, text: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=text):
        imported(module)


def test_what_is_read_is_held_to_the_module() -> None:
    """Whether a spike is not 0 is the spike; read as 1 in all but one point it would be none."""
    with pytest.warns(nd.NeurodeployWarning, match="lif2: the module returns its last step alone"):
        nd.import_network(Answering(-1).eval(), shape=12)
    with pytest.raises(ConversionError, match=r"'lif2\.input' differs from the torch module"):
        imported(Within(lambda x: (x != 0).float(), spikes=True))
    normed = nn.Sequential(nn.Linear(12, 5), nn.BatchNorm1d(5), *changed()[1:]).train()
    with pytest.raises(UnsupportedLayerError, match=r"'1\.running_mean' changes .* call \.eval"):
        nd.import_network(normed, shape=12)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({}, UsageError, "shape: what enters the module in one step is not told"),
        ({"shape": "3x"}, UsageError, "shape 3x: expected 1 to 3 sizes above 0"),
        ({"shape": 13}, ConversionError, "is --shape what it takes in one step"),
        ({"shape": 12, "dynamics": "norse"}, UsageError, "a module's layers tell their dynamics"),
        ({"shape": 12, "levels": 3}, UsageError, "a raster of spikes has none"),
        ({"shape": 12, "input": "light"}, UsageError, "unknown input 'light'"),
        ({"shape": 12, "weights": "w.pt"}, UsageError, "load them into the module"),
    ],
)
def test_wrong_options_of_modules(
    options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        nd.import_network(changed().eval(), **options)


class Shared(nn.Module):
    """Maxima of spikes, a shortcut, batch normalization, and a readout that adds up."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.bn.running_var.fill_(0.2)
        self.lif1 = Leaky(0.9, init_hidden=True)
        self.lif2 = Leaky(0.7, threshold=0.8, init_hidden=True)
        self.fc = nn.Linear(16, 3)
        self.conv1.weight.data *= 3

    def forward(self, x):
        y = self.lif1(self.conv1(x))
        y = self.lif2(self.bn(self.conv2(y)) + y)
        return self.fc(F.max_pool2d(y, 2).flatten(1))


def test_an_image_that_holds_goes_all_the_way() -> None:
    module = Shared()
    net = imported(
        module, (1, 4, 4), timesteps=8, input="current", levels=15, normalize=(0.25, 0.5)
    )
    assert net.encodings["input"].levels == 15
    random = np.random.default_rng(0)
    x = (random.integers(0, 16, (6, 1, 4, 4)) / 15).astype(np.float32)
    record = run_reference(net.netlist, {"input": np.rint(x * 15).astype(np.int64)})
    total, lif1 = 0, []
    module.double()
    module.lif1.register_forward_hook(lambda m, i, o: lif1.append(o))
    with torch.no_grad():
        for _ in range(8):
            total = total + module((torch.tensor(np.rint(x * 15)).double() / 15 - 0.25) / 0.5)
    assert np.array_equal(record.spikes["lif1"], torch.stack(lif1, 1).numpy())
    (output,) = net.netlist.outputs
    assert np.allclose(record.membranes[output.population][:, -1], total.numpy(), atol=1e-9)
    integer = net.quantize(8)
    deployment = integer.compile("brian2")
    assert nd.verify(deployment, "reference", nd.Samples(x, np.zeros(6, int))).exact


class PooledCurrents(nn.Module):
    """Maxima of what a convolution adds up, before its neurons."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.lif1 = Leaky(0.9, init_hidden=True)
        self.lif2 = Leaky(0.8, threshold=0.7, init_hidden=True)
        self.conv1.weight.data *= 3
        self.conv2.weight.data *= 2

    def forward(self, x):
        y = self.lif1(F.max_pool2d(self.conv1(x), 2))
        return self.lif2(F.max_pool2d(self.conv2(y), 2)).flatten(1)


def test_maxima_of_currents_are_quantized_in_levels() -> None:
    net = imported(PooledCurrents(), (1, 8, 8), timesteps=12)
    integer = net.quantize(8)
    added = {p.name for p in integer.netlist.populations} - {
        p.name for p in net.netlist.populations
    }
    assert added == {"max_pool.current", "max_pool_2.current"}
    x = raster(12, 1, 8, 8)
    real = run_reference(net.netlist, {"input": x}).spikes
    record = run_reference(integer.netlist, {"input": x}).spikes
    assert 0.1 < real["lif1"].mean() < 0.6
    assert (real["lif1"] != record["lif1"]).mean() < 0.02
    assert (real["lif2"] != record["lif2"]).mean() < 0.05
    found = integer.compile("brian2").run({"input": x}).spikes
    assert all(np.array_equal(found[name], record[name]) for name in ("lif1", "lif2"))


def test_the_command_reads_a_factory_and_its_weights(tmp_path: Path, capsys, monkeypatch) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom tests.exchange.neurons import Leaky\n"
        "def build():\n"
        "    return nn.Sequential(nn.Linear(12, 5), Leaky(0.5, init_hidden=True))\n"
    )
    monkeypatch.chdir(tmp_path)
    weights = nn.Sequential(nn.Linear(12, 5), Leaky(0.5, init_hidden=True))
    torch.save(weights.state_dict(), "w.pt")
    given = ["import", "net.py:build", "w.pt", "--shape", "12", "-o", "net.ndn"]
    assert command([*given, "--timesteps", "7", "--input-high", "2"]) == 0
    told = capsys.readouterr()
    assert "build: real-valued netlist, T = 7" in told.out
    assert not told.err
    net = nd.load("net.ndn")
    projection = net.netlist.projections[0]
    assert np.array_equal(projection.connectivity.weight, weights[0].weight.detach().numpy())
    assert net.provenance["exchange"]["layers"] == {"1": "snntorch Leaky"}
    assert net.provenance["source"]["weights"] == "w.pt"
    assert command([*given, "--json"]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["kind"] == "real-valued"
    assert "warning: build: T = 25 steps a sample" in out.err
    assert command(["import", "net.py:absent", "--shape", "12", "-o", "net.ndn"]) == 2
    assert "unknown factory" in capsys.readouterr().err
