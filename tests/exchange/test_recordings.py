"""What others recorded of their neurons, reproduced from the files that they came from."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.errors import FileFormatError
from neurodeploy.testing import NetlistBuilder
from tests.exchange.files import chain, imported, integrate, lif, node, run

pytest.importorskip("h5py", reason="NIR is HDF5")


@pytest.mark.parametrize(
    ("recording", "dynamics", "scale", "late"),
    [
        ("norse", "norse", 1, 0),
        ("snntorch", "snntorch-zero", 25, 0),
        ("nengo", "nengo", 10, 0),
        ("sinabs", "sinabs-2023", 1, 0),
        ("rockpool", "sinabs-2023", 1, 0),
        ("lava_cpu_float", "lava", 1, 1),
        ("exact", "exact", None, 0),
        ("spyx", "norse", None, 1),
    ],
)
def test_the_recorded_single_neuron(
    shared_dir: Path, recording: str, dynamics: str, scale: float | None, late: int
) -> None:
    table = np.loadtxt(shared_dir / "nir" / f"lif_{recording}.csv", delimiter=",")
    x = (table[:, :1] != 0).astype(np.int64)
    path = shared_dir / "nir" / "lif_norse.nir"
    net = nd.import_network(path, dynamics=dynamics, dt=1e-4, timesteps=len(x))
    record = run(net, x[None])
    kept = len(x) - late
    spikes = record.spikes["1"][0, :kept, 0]
    assert spikes.sum() == 4
    np.testing.assert_array_equal(spikes, table[late:, 2])
    if scale is not None:
        v = record.membranes["1"][0, :kept, 0] * scale
        np.testing.assert_allclose(v, table[late:, 1], rtol=0, atol=1e-6)


def test_the_recorded_single_neuron_in_fixed_point(shared_dir: Path) -> None:
    """Lava on a processor, one step late: every spike and membrane, as Loihi 2 has them too."""
    table = np.loadtxt(shared_dir / "nir" / "lif_lava_cpu_fixed.csv", delimiter=",").astype(int)
    neuron = {"threshold": 1601, "reset": "zero", "membrane_decay": 163, "exponent": 6}
    netlist = NetlistBuilder(T=len(table)).input("x", (1,)).dense([[10]], name="a", **neuron)
    record = run(nd.Network(netlist.output()), table[None, :, :1])
    assert np.flatnonzero(table[:, 2]).tolist() == [461, 511, 711, 761]
    np.testing.assert_array_equal(record.spikes["a"][0, :-1, 0], table[1:, 2])
    np.testing.assert_array_equal(record.membranes["a"][0, :-1, 0], table[1:, 1])


def _leaky(x, weights, betas, kind):
    """snnTorch 1.0.0: layers of Leaky, in its own words; also where a reset leaves a threshold."""
    layers = []
    send = x.astype(np.float64)
    residue = np.zeros(len(x), dtype=bool)
    for (w, b), beta in zip(weights, betas, strict=True):
        mem = np.zeros((len(x), len(b)))
        out = []
        for t in range(x.shape[1]):
            reset = (mem > 1).astype(float)
            if kind == "zero":
                mem = mem * (1 - reset)
            mem = beta * mem + send[:, t] @ w.T + b - (reset if kind != "zero" else 0)
            spikes = (mem > 1).astype(float)
            if kind == "same":
                mem = mem - (spikes - reset)
                residue |= (mem > 1).any(axis=1)
            out.append(spikes)
        send = np.stack(out, axis=1)
        layers.append(send)
    return layers, residue


@pytest.mark.parametrize(
    ("file", "dynamics", "kind"),
    [
        ("rt_default", "snntorch", "next"),
        ("rt_reset_delay-False", "snntorch-same-step", "same"),
        ("rt_reset_mechanism-zero", "snntorch-zero", "zero"),
    ],
)
def test_snntorch_networks_keep_every_spike(
    shared_dir: Path, file: str, dynamics: str, kind: str
) -> None:
    import h5py

    path = shared_dir / "nir" / f"{file}.nir"
    with h5py.File(path) as content:
        nodes = content["node/nodes"]
        weights = [
            (nodes[k]["weight"][()].astype(float), nodes[k]["bias"][()].astype(float))
            for k in ("0", "2")
        ]
    # Few events, where resets that leave more than a threshold are to be rare.
    rate = 0.02 if kind == "same" else 0.3
    x = (np.random.default_rng(0).random((400, 50, 20)) < rate).astype(np.int64)
    expected, residue = _leaky(x, weights, (0.9, 0.8), kind)
    record = run(nd.import_network(path, dynamics=dynamics, timesteps=50), x)
    assert (~residue).sum() >= 20
    for name, layer in zip(("1", "3"), expected, strict=True):
        assert layer.mean() > 0.01
        np.testing.assert_array_equal(record.spikes[name][~residue], layer[~residue])


def _synaptic(x, nodes, late_feedback):
    """The braille network: CubaLIF by forward Euler, zero reset; what comes back is a step old."""
    p = {name: {k: v[()] for k, v in nodes[name].items() if k != "type"} for name in nodes}
    dt = 1e-4
    fired = np.zeros((len(x), 38))
    state = {
        name: [np.zeros((len(x), n)), np.zeros((len(x), n))]
        for name, n in (("lif1.lif", 38), ("lif2", 7))
    }
    out: dict[str, list] = {name: [] for name in state}

    def step(name, current):
        q, (i, v) = p[name], state[name]
        i = (1 - dt / q["tau_syn"]) * i + q["w_in"] * dt / q["tau_syn"] * current
        v = (1 - dt / q["tau_mem"]) * v + q["r"] * dt / q["tau_mem"] * i
        spikes = (v > q["v_threshold"]).astype(float)
        state[name] = [i, v * (1 - spikes)]
        out[name].append(spikes)
        return spikes

    def affine(name, values):
        return values @ p[name]["weight"].T.astype(float) + p[name]["bias"].astype(float)

    for t in range(x.shape[1]):
        back = affine("lif1.w_rec", fired) * (t > 0 or not late_feedback)
        fired = step("lif1.lif", affine("fc1", x[:, t].astype(float)) + back)
        step("lif2", affine("fc2", fired))
    return {name: np.stack(spikes, axis=1) for name, spikes in out.items()}


@pytest.mark.parametrize(("dynamics", "late"), [("snntorch-zero", False), ("norse", True)])
def test_the_braille_network_layer_by_layer(shared_dir: Path, dynamics: str, late: bool) -> None:
    """Norse 1.1.0 itself was run on these rasters: equal in all 8400 output steps."""
    import h5py

    path = shared_dir / "nir" / "braille_noDelay_bias_zero.nir"
    x = (np.random.default_rng(0).random((20, 60, 12)) < 0.5).astype(np.int64)
    with h5py.File(path) as content:
        nodes = {k: v for k, v in content["node/nodes"].items() if k not in ("input", "output")}
        expected = _synaptic(x, nodes, late)
    with pytest.warns(match="lif1.lif -> lif1.lif: spikes come back one step later"):
        net = nd.import_network(path, dynamics=dynamics, dt=1e-4, timesteps=60)
    record = run(net, x)
    for name, spikes in expected.items():
        assert spikes.any()
        np.testing.assert_array_equal(record.spikes[name], spikes)


def test_two_lif_neurons_charge_by_their_leak_potential(shared_dir: Path) -> None:
    path = shared_dir / "nir" / "two_lif_neurons.nir"
    net = nd.import_network(path, dynamics="exact", dt=1e-3, timesteps=100)
    record = run(net, np.zeros((1, 100, 1), dtype=np.int64))
    v = record.membranes["lif1"][0, :17, 0]
    np.testing.assert_allclose(v, 1.2 * -np.expm1(-np.arange(1, 18) * 0.1), rtol=1e-12)
    assert np.flatnonzero(record.spikes["lif1"][0, :, 0])[0] == 17


def test_a_file_of_rockpool_does_not_fit(shared_dir: Path) -> None:
    with pytest.raises(
        FileFormatError, match=r"output: Output of shape \(1, 1, 1\), but \(1,\) arrives"
    ):
        nd.import_network(shared_dir / "nir" / "lif_rockpool.nir", dynamics="exact", dt=1e-4)


TAU = {"euler": 2e-4, "exponential": 1 / np.log(2)}
READINGS = {
    "snntorch 1.0.0 Leaky reset=subtract reset_delay=True": ("snntorch", {}),
    "snntorch 1.0.0 Leaky reset=subtract reset_delay=False": ("snntorch-same-step", {}),
    "snntorch 1.0.0 Leaky reset=zero reset_delay=False": ("snntorch-zero", {}),
    "snntorch Synaptic alpha=beta, zero, reset_delay=False (v shown)": ("snntorch-zero", {}),
    "spikingjelly IF/LIF hard(0) decay_input=True": ("spikingjelly", {"r": 1.0}),
    "spikingjelly LIF hard decay_input=False": ("spikingjelly", {}),
    "spikingjelly LIF soft(None) decay_input=False": ("spikingjelly-soft", {}),
    "sinabs 3.1.3 IAF/LIF MembraneSubtract norm_input=False (default spike_fn MultiSpike)": (
        "sinabs",
        {},
    ),
    "sinabs LIF MembraneReset norm_input=False": ("sinabs", {"reset": "zero"}),
    "norse LIFBoxCell (IAFCell for no leak) tau_mem_inv=1-b dt=1": ("norse", {}),
}
STIMULI = {"x=.5 no leak": 0, "pulse 1.7, 0.4@4, beta .5": 1, "impulse .6 beta .5": 2}


@pytest.mark.parametrize("title", sorted(READINGS))
def test_traces_of_single_neurons(shared_dir: Path, tmp_path: Path, title: str) -> None:
    """Three inputs, eight steps: the spikes and the membrane of each framework's own neuron."""
    text = (shared_dir / "nir" / "traces_single_neuron.txt").read_text()
    block = next(b for b in text.split("## ")[1:] if b.startswith(title))
    lines = re.findall(r"^  (.+?) +spikes ([\d ]+) \| v (.+)$", block, re.M)
    assert len(lines) == 3
    dynamics, options = READINGS[title]
    r = options.get("r")
    parts = {k: v for k, v in options.items() if k != "r"}
    # One channel sends .5 in every step, one 1.7 and .4, one .6.
    x = np.zeros((1, 8, 3), dtype=np.int64)
    x[0, :, 0] = x[0, 0, 1] = x[0, 0, 2] = 1
    for name, spikes, v in lines:
        stimulus = STIMULI[name]
        leaks = stimulus > 0
        if "Synaptic" in title and not leaks:
            continue
        weight = np.zeros((1, 3))
        weight[0, stimulus] = (0.5, 1.7, 0.6)[stimulus]
        given = x.copy()
        dt = 1e-4 if dynamics not in ("sinabs",) else None
        unit_r = 1e4 if dynamics.startswith("spikingjelly") else 1.0
        neuron = integrate(1, unit_r)
        if leaks:
            tau = np.full(1, TAU["exponential" if dynamics == "sinabs" else "euler"])
            gain = tau / 1e-4 if r is None else np.full(1, r)
            neuron = node("LIF", tau=tau, r=gain, v_leak=np.zeros(1), v_threshold=np.ones(1))
            if "Synaptic" in title:
                neuron = node(
                    "CubaLIF",
                    tau_syn=tau,
                    tau_mem=tau,
                    r=gain,
                    v_leak=np.zeros(1),
                    v_threshold=np.ones(1),
                    w_in=gain,
                )
        if dynamics == "snntorch-zero" and not leaks:
            neuron = lif(1, beta=1 - 1e-9)
        layers = [node("Linear", weight=weight), neuron]
        if stimulus == 1:
            # The second pulse is another channel's.
            weight[0, 2], given[0, :, 2] = 0.4, 0
            given[0, 4, 2] = 1
        net = imported(
            tmp_path, chain(*layers, size=(3,), out=(1,)), dynamics, dt=dt, timesteps=8, **parts
        )
        record = run(net, given)
        assert record.spikes["b"][0, :, 0].tolist() == [int(s) for s in spikes.split()], name
        expected = [float(value) for value in v.split()]
        np.testing.assert_allclose(
            record.membranes["b"][0, :, 0], expected, rtol=5e-4, atol=1e-6, err_msg=name
        )
