"""``--fit``: the widest weights with which every layer fits a crossbar."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.errors import CapacityError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.connectivity import Dense, identity
from neurodeploy.ir.geometry import Window
from neurodeploy.ir.neurons import MaxPool
from neurodeploy.quantization.input_statistics import Heard
from neurodeploy.quantization.integers import Quantization
from neurodeploy.stages.fit import fit_layer_bits
from neurodeploy.targets.registry import TARGETS
from tests.quantization.netlists import feed_forward, neuron


def net(*fan_ins: int):
    """Layers side by side, each with its own fan-in from one input."""
    random = np.random.default_rng(0)
    layers = []
    for fan_in in fan_ins:
        weight = np.zeros((6, 256))
        weight[:, :fan_in] = random.normal(size=(6, fan_in))
        layers.append((f"f{fan_in}", (6,), neuron(4.0), {"x": Dense(weight, (256,))}))
    return feed_forward(*layers, shape=(256,), timesteps=8)


def violations(integer, board) -> list:
    target = TARGETS.get("truenorth")()
    return target.check(integer, board, target.complete_options({}))


@pytest.mark.parametrize("widest", [6, 8])
def test_every_layer_gets_the_widest_that_fits(widest: int) -> None:
    board = load_board("truenorth")
    network = net(20, 60, 120)
    chosen = fit_layer_bits(network, Quantization(widest), board)
    bits = chosen.layer_bits
    assert bits["f20"] > bits["f120"] >= 2
    integer, _ = chosen(network)
    assert not violations(integer, board)
    for name, width in bits.items():
        if width < widest:
            wider, _ = Quantization(widest, {**bits, name: width + 1})(network)
            assert any(v.where.startswith(name) for v in violations(wider, board)), name


def test_widths_are_those_with_which_weights_rounded_against_data_fit() -> None:
    board, network, random = load_board("truenorth"), net(96), np.random.default_rng(97)
    x = np.abs(random.normal(size=(60, 3)) @ random.normal(size=(3, 256)))
    heard = Heard({"x": (4 * x).astype(np.int64)})
    without = fit_layer_bits(network, Quantization(), board)
    assert violations(without(network, heard)[0], board)
    chosen = fit_layer_bits(network, Quantization(), board, heard)
    assert not violations(chosen(network, heard)[0], board)


def test_pooling_of_single_cells_is_no_layer_with_weights() -> None:
    random = np.random.default_rng(0)
    one = Window((4, 4), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    network = feed_forward(
        ("pool", (2, 4, 4), MaxPool(2, one), {"x": identity((2, 4, 4), 1.0)}),
        ("f", (3,), neuron(4.0), {"pool": Dense(random.normal(size=(3, 32)), (2, 4, 4))}),
        shape=(2, 4, 4),
        timesteps=8,
    )
    with pytest.raises(CapacityError, match="pool"):
        fit_layer_bits(network, Quantization(4), load_board("truenorth"))


def test_widths_given_are_the_widest_tried() -> None:
    chosen = fit_layer_bits(net(10, 20), Quantization(4, {"f10": 3}), load_board("truenorth"))
    assert chosen.layer_bits == {"f10": 3, "f20": 4}


def test_what_fits_with_no_width_is_refused() -> None:
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(4, 300))
    wide = feed_forward(("wide", (4,), neuron(9.0), {"x": Dense(signs, (300,))}), shape=(300,))
    with pytest.raises(CapacityError, match=r"^even 2-bit weights do not fit: wide.*300 .*256"):
        fit_layer_bits(wide, Quantization(3), load_board("truenorth"))


def test_boards_without_crossbars_and_unknown_layers_are_refused() -> None:
    with pytest.raises(UsageError, match="fit: board loihi1 has no crossbars"):
        fit_layer_bits(net(10), Quantization(), load_board("loihi1"))
    with pytest.raises(UnknownNameError, match="unknown layer 'fc'"):
        fit_layer_bits(net(10), Quantization(8, {"fc": 4}), load_board("truenorth"))
