"""What a converted file says about its calibration, and what calibration refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="conversion needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.datasets import Samples  # noqa: E402
from neurodeploy.errors import DataError, UsageError  # noqa: E402
from neurodeploy.ir.printer import print_netlist  # noqa: E402
from neurodeploy.render.netlist import render_written, summarize_network  # noqa: E402

N_TRAIN = 60


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network(classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48, classes),
    ).eval()


def dataset(split: str | None = "train", spoil: slice | None = None, **fields) -> Samples:
    random = np.random.default_rng(0)
    x = (random.integers(0, 17, (N_TRAIN, 1, 8, 8)) / 16).astype(np.float32)
    if spoil is not None:
        x[spoil] = random.integers(0, 17, x[spoil].shape) / 16
    given = {
        "name": "digits",
        "split": split,
        "x": x,
        "y": random.integers(0, 4, N_TRAIN),
        "norm": None,
        "levels": 16,
        "indices": np.arange(100, 100 + N_TRAIN),
    }
    return Samples(**{**given, **fields})


def convert(data: Samples | None = None, **options):
    given = {"timesteps": 8, "calibration_samples": 20, **options}
    return nd.convert(network(), data or dataset(), **{"method": "rate", **given})


def test_indices_and_split_are_recorded() -> None:
    calibration = convert().provenance["calibration"]
    assert calibration == {"data": "digits", "split": "train", "indices": [[100, 119]]}


def test_indices_that_are_not_in_a_row() -> None:
    chosen = dataset().subset([3, 4, 5, 9, 1, 2])
    calibration = convert(chosen, calibration_samples=6).provenance["calibration"]
    assert calibration["indices"] == [[103, 105], [109, 109], [101, 102]]


def test_nothing_but_the_recorded_images_is_read() -> None:
    plain = print_netlist(convert().netlist)
    assert plain == print_netlist(convert(dataset(spoil=slice(20, None))).netlist)
    assert plain != print_netlist(convert(dataset(spoil=slice(0, 1))).netlist)


def test_the_real_digits_are_calibrated_on_their_training_split(tmp_path) -> None:
    from neurodeploy.datasets import as_samples

    converted = nd.convert(
        network(10), "digits", method="rate", timesteps=4, calibration_samples=30
    )
    recorded = converted.provenance["calibration"]
    assert recorded["split"] == "train"
    train, test = as_samples("digits", "train"), as_samples("digits", "test")
    ((first, last),) = recorded["indices"]
    np.testing.assert_array_equal(train.indices[:30], range(first, last + 1))
    seen = {image.tobytes() for image in train.x[:30]}
    assert not any(image.tobytes() in seen for image in test.x)
    nd.save(converted, tmp_path / "net.ndn")
    assert nd.load(tmp_path / "net.ndn").provenance["calibration"] == recorded


@pytest.mark.parametrize("data", ["digits@test", dataset("test")])
def test_the_test_split_is_refused(data) -> None:
    with pytest.raises(DataError, match="calibration reads training images only"):
        nd.convert(network(), data)


def test_no_calibration_images() -> None:
    with pytest.raises(UsageError, match="calibration samples 0: at least 1"):
        convert(calibration_samples=0)


def test_versions_seeds_and_options_are_recorded() -> None:
    provenance = convert(seed=7, normalization="max").provenance
    assert provenance["seed"] == 7
    assert provenance["method"]["name"] == "rate"
    assert provenance["method"]["normalization"] == "max"
    assert {"neurodeploy", "python", "numpy", "torch", "source"} <= set(provenance)
    assert json.loads(json.dumps(provenance)) == provenance


def test_the_same_file_again(tmp_path) -> None:
    for name in ("a", "b"):
        converted = nd.quantize(convert(), 5)
        nd.save(converted, tmp_path / f"{name}.ndn")
    assert (tmp_path / "a.ndn").read_bytes() == (tmp_path / "b.ndn").read_bytes()


def test_the_quantization_is_recorded_with_what_it_cost() -> None:
    converted = nd.quantize(convert(), 4, layer_bits={"output": 6})
    quantization = converted.provenance["quantization"]
    assert quantization["weight_bits"] == 4
    assert quantization["layer_bits"] == {"output": 6}
    assert [row["weight_bits"] for row in quantization["report"]] == [4, 6]
    assert json.loads(json.dumps(converted.provenance)) == converted.provenance


def test_the_deviation_of_the_identity_rewrite_is_measured_and_printed(tmp_path) -> None:
    exact = convert(timesteps=16)
    assert "max_pooling_deviation" not in exact.provenance
    assert "max-pooling by neurons" not in render_written(exact, tmp_path)

    rewritten = convert(timesteps=16, max_pooling="identity")
    (row,) = rewritten.provenance["max_pooling_deviation"]
    assert row["layer"] == "max_pool_2"
    assert 0 < row["mean_error"] < row["largest_error"]
    assert row["mean_error"] < 0.3 * row["mean_maximum"]
    text = render_written(rewritten, tmp_path)
    assert (
        f"max_pool_2: max-pooling by neurons is off by {row['mean_error']:.3g} on average" in text
    )
    assert summarize_network(rewritten)["provenance"]["max_pooling_deviation"] == [row]


def test_the_deviation_shrinks_with_the_time_steps() -> None:
    def deviation(timesteps: int) -> float:
        converted = convert(timesteps=timesteps, max_pooling="identity", normalization="max")
        return converted.provenance["max_pooling_deviation"][0]["mean_error"]

    assert deviation(128) < deviation(8) / 3
