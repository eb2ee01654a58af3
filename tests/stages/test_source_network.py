"""What ``convert`` says of the source network, and of outputs that are not its own any more."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import neurodeploy as nd
from neurodeploy.cli import run
from neurodeploy.datasets import Samples, as_samples
from neurodeploy.errors import CapacityError, UsageError
from neurodeploy.ir.arrays import AnyArray

MEAN, STD = 0.1307, 0.3081


def trained(x: AnyArray, y: AnyArray, outputs: int = 10) -> nn.Module:
    """A small network that has learnt these samples."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(x[0].size, 32), nn.ReLU(), nn.Linear(32, outputs))
    given, wanted = torch.tensor(x), torch.tensor(y)
    loss_of = nn.CrossEntropyLoss() if wanted.dtype == torch.int64 else nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = loss_of(net(given), wanted)
        loss.backward()
        optimizer.step()
    return net.eval()


@pytest.fixture(scope="module")
def digits() -> Samples:
    return as_samples("digits", "train")


@pytest.fixture(scope="module")
def normalized(digits: Samples) -> nn.Module:
    return trained((digits.x - MEAN) / STD, digits.y)


def told(model: nn.Module, data: Samples, **options: object) -> tuple[list[str], list[str]]:
    """The lines and the warnings of a conversion."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nd.convert(model, data, tell=lines.append, **{"method": "graded", **options})  # type: ignore[arg-type]
    found = [str(w.message) for w in caught if w.category is nd.NeurodeployWarning]
    return lines, [line for line in found if "silent" not in line]


def test_the_accuracy_of_the_source_network_stands_first(
    digits: Samples, normalized: nn.Module
) -> None:
    good = Samples(digits.x, digits.y, norm="mnist", split="train")
    for method in ("graded", "rate", "amos"):
        lines, warned = told(normalized, good, method=method)
        assert lines[0].startswith(("source network: 9", "source network: 100"))
        assert lines[0].endswith("% of 512 training images; chance is 10.4 %")
        assert not [line for line in warned if "source network:" in line]


def test_classes_that_calibration_does_not_see_are_told(
    digits: Samples, normalized: nn.Module
) -> None:
    def lines(classes: int, **options: object) -> list[str]:
        few = digits.y < classes
        found, _ = told(normalized, Samples(digits.x[few], digits.y[few], norm="mnist"), **options)
        return [line for line in found if "of 10 classes" in line]

    assert lines(4) == [
        "calibration data: 4 of 10 classes; what only others use may be clipped at ranges that "
        "they had no part in: more samples, or --range-floor 1"
    ]
    assert not lines(5)
    assert not lines(4, range_floor=1.0)


def test_a_missing_normalization_is_told_by_name(digits: Samples, normalized: nn.Module) -> None:
    _, warned = told(normalized, Samples(digits.x, digits.y))
    (line,) = [w for w in warned if w.startswith("source network: ")]
    assert "with #norm=mnist" in line
    _, warned = told(trained(digits.x, digits.y), Samples(digits.x, digits.y, norm=(0.9, 0.02)))
    (line,) = [w for w in warned if w.startswith("source network: ")]
    assert "without #norm" in line


def test_a_network_at_chance_is_told_with_the_usual_causes(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def make():\n    torch.manual_seed(3)\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))\n"
    )
    given = ("--data", "digits", "--method", "graded", "-o", "x.ndn")
    assert run(["convert", "net.py:make", *given]) == 0
    first, *rows = capsys.readouterr().err.splitlines()
    assert first.startswith("source network: ")
    (line,) = [row for row in rows if "is not above chance" in row]
    assert "missing --weights, missing normalization (#norm=mnist)" in line


def test_labels_from_1_on_and_in_another_order_are_suspected(digits: Samples) -> None:
    assert digits.y is not None
    net = trained(digits.x, digits.y, outputs=11)
    _, warned = told(net, Samples(digits.x, digits.y + 1))
    assert any("if 1 is subtracted from the labels" in line for line in warned)
    _, warned = told(net, Samples(digits.x, (7 * digits.y + 3) % 10))
    assert any("with the labels in another order" in line for line in warned)


def test_another_range_is_told(digits: Samples) -> None:
    net = trained(digits.x, digits.y)
    with torch.no_grad():
        net[1].weight *= 1 / 255
    _, warned = told(net, Samples(digits.x, digits.y))
    assert any("with values 0 .. 255" in line for line in warned)


def test_samples_that_cannot_tell_chance_do_not_blame_the_network(
    digits: Samples, normalized: nn.Module
) -> None:
    three = digits.y == 3
    lines, warned = told(normalized, Samples(digits.x[three], digits.y[three], norm="mnist"))
    assert lines[0].endswith("chance is 100.0 %, and these samples cannot tell the two apart")
    assert not [line for line in warned if "source network:" in line]


def test_samples_that_are_all_the_same_are_told(digits: Samples, normalized: nn.Module) -> None:
    x = np.repeat(digits.x[:1], 20, axis=0)
    _, warned = told(normalized, Samples(x, digits.y[:20], norm="mnist"))
    assert warned[0].startswith("all 20 calibration images are the same: whatever is measured on")


def test_evaluate_tells_of_chance_and_of_what_it_does_not_compare(
    digits: Samples, normalized: nn.Module
) -> None:
    x, y = digits.x[:80], digits.y[:80]
    aim = x.mean((1, 2)).mean(1, keepdims=True)
    classes = nd.convert(normalized, Samples(x, y, norm="mnist"), method="graded")
    values = nd.convert(trained(x, aim, outputs=1), Samples(x, aim), method="graded")

    def warned(net: nd.Network, answers: AnyArray, n: int = 80) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            nd.evaluate(net, Samples(x[:n], answers[:n], name="mine"))
        return [str(w.message) for w in caught]

    (line,) = warned(classes, (y + 1) % 10)
    assert "of 80 samples is not above chance (11.2 %)" in line
    assert not warned(classes, y) + warned(classes, (y + 1) % 10, 1) + warned(values, aim)
    (line,) = warned(values, y % 2)
    assert line.startswith("labels of mine are not compared")
    (line,) = warned(values, np.ones_like(aim))
    assert line.startswith("targets of mine are the same in all 80 samples")


def test_without_labels_nothing_is_claimed(digits: Samples, normalized: nn.Module) -> None:
    lines, warned = told(normalized, Samples(digits.x[:64]))
    assert lines[0] == "source network: not measured, the data have no labels"
    assert not [line for line in warned if line.startswith("source network")]


def test_a_regression_is_compared_with_its_targets(digits: Samples) -> None:
    aim = np.stack([digits.x.mean((1, 2, 3)), digits.x[:, 0, 3, 3]], 1).astype(np.float32)
    net = trained(digits.x, aim, outputs=2)
    data = Samples(digits.x[:300], aim[:300])
    lines, warned = told(net, data, timesteps=2)
    assert "relative to the targets' spread" in lines[0]
    assert not warned
    converted = nd.convert(net, data, method="graded", timesteps=2)
    found = nd.evaluate(converted, data)
    assert (found.task, found.accuracy, found.agreement) == ("values", None, None)
    outputs = nd.quantize(converted, 8).compile("brian2", codegen="numpy").run(data[:1]).outputs
    assert list(outputs) == list(found.relative_error)
    assert found.source_target_error is not None
    with torch.no_grad():
        error = net(torch.tensor(data.x)).numpy() - aim[:300]
    ratios = np.sqrt((error**2).mean(0)) / aim[:300].std(0)
    assert found.source_target_error.worst == pytest.approx(ratios.max(), rel=1e-4)
    _, warned = told(net, Samples(digits.x[:300], 5 - 9 * aim[:300]))
    assert any("no better than their mean" in line for line in warned)


def test_outputs_that_are_no_longer_the_networks_are_told(digits: Samples) -> None:
    net = trained(digits.x, digits.y)
    data = Samples(digits.x[:128], digits.y[:128])
    _, warned = told(net, data, method="rate", timesteps=1)
    assert any("below 0.98" in line for line in warned)
    _, warned = told(net, data, method="graded", timesteps=4)
    assert not [line for line in warned if "below 0.98" in line]
    # Outputs far apart correlate with themselves, whatever becomes of what each of them tells.
    with torch.no_grad():
        net[-1].bias += 100 * torch.arange(len(net[-1].bias))
    values = Samples(data.x)
    _, warned = told(net, values, method="rate", timesteps=1)
    assert [line for line in warned if "errs on the calibration data by more than half" in line]
    _, warned = told(net, values, method="graded", timesteps=4)
    assert not [line for line in warned if line.startswith("output")]


def test_auto_budgets_a_regressor_by_its_error_not_by_agreement(digits: Samples) -> None:
    """Largest outputs may agree on all samples where the values are far off."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))
    with torch.no_grad():
        net[3].bias[0] += 100.0
    data = Samples(digits.x[:200])
    chosen = nd.convert(net.eval(), data, max_error="4%").provenance["auto"]
    assert chosen["met"]
    assert "points" not in chosen["reason"]
    assert chosen["tried"][-1]["measure"] == "error"
    assert 0 < chosen["tried"][-1]["loss"] <= 4
    assert "within 4 % of the outputs' spread" in chosen["reason"]
    with pytest.raises(UsageError, match="nothing says that the outputs are classes"):
        nd.convert(net, data, max_loss=1.0)
    said = nd.convert(net, data, max_loss=1.0, classifier=True)
    assert said.provenance["auto"]["tried"][-1]["measure"] == "disagreement"
    assert nd.evaluate(said, data).agreement is not None


def test_a_loss_that_few_samples_cannot_tell_is_a_warning(digits: Samples) -> None:
    net = trained(digits.x, digits.y)
    _, warned = told(net, Samples(digits.x[:100], digits.y[:100]), method="auto")
    (line,) = [w for w in warned if w.startswith("auto: ")]
    assert "(95 % interval), more than the 1 allowed" in line


def _wide(channels: int, hidden: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, channels, 3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(36 * channels, hidden), nn.ReLU(), nn.Linear(hidden, 10)),
    ).eval()


def test_what_no_width_fits_into_a_core_is_refused_before_calibration(digits: Samples) -> None:
    lines: list[str] = []
    steps: list[tuple[int, int]] = []
    with pytest.raises(CapacityError) as caught:
        nd.convert(
            _wide(64, 1000),
            Samples(digits.x[:100], digits.y[:100]),
            target="truenorth",
            tell=lines.append,
            progress=lambda *done: steps.append(done),
        )
    text = str(caught.value)
    assert "relu_4 (2304 inputs), output (1000 inputs): a core of truenorth has 256 axons" in text
    assert "split=" in text
    assert steps == []


def test_layers_wider_than_a_core_are_tried_in_parts(digits: Samples) -> None:
    lines: list[str] = []
    data = Samples(digits.x[:100], digits.y[:100])
    net = nd.convert(_wide(16, 8), data, target="truenorth", tell=lines.append)
    chosen = net.provenance["auto"]["reason"]
    assert "then 'compile --option split=approximate'" in chosen
    assert any("even 2-bit weights do not fit: relu_4: fan-in" in line for line in lines)


def test_a_method_of_one_step_needs_no_number_of_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    given = ("--data", "digits", "--samples", "20", "--method", "amos", "--json")
    assert run(["evaluate", "net.py:make", *given]) == 0
    assert '"timesteps": [\n    1\n  ]' in capsys.readouterr().out
