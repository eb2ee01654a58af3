"""One small network, its page, and a browser for the tests of pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurodeploy as nd
from scripts.setup_browser import find_browser
from tests.render.browser import Browser

CLASSES = 4
BOARDS = "loihi1,truenorth"
SAMPLES = 24


@pytest.fixture(scope="session")
def small_data() -> nd.Samples:
    rng = np.random.default_rng(3)
    y = rng.integers(0, CLASSES, 40)
    x = 0.4 * rng.random((40, 1, 6, 6), dtype=np.float32)
    for label in range(CLASSES):
        x[y == label, 0, label : label + 2] += 0.6
    return nd.Samples(x, y, split="test", name="stripes")


@pytest.fixture(scope="session")
def small_net(small_data: nd.Samples) -> nd.Network:
    """Binary spikes of three bits, which every board and target takes."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    nn = torch.nn
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, CLASSES, bias=False)
    ).eval()
    training = nd.Samples(small_data.x, small_data.y, split="train", name="stripes")
    real = nd.convert(
        *(module, training), method="rate", timesteps=6, input="spikes", decode="counts", name="net"
    )
    return real.quantize(3, fit="truenorth")


@pytest.fixture(scope="session")
def folder(
    small_net: nd.Network, small_data: nd.Samples, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """``net.ndn`` and ``data.npz``."""
    found = tmp_path_factory.mktemp("page")
    small_net.save(found / "net.ndn")
    np.savez(found / "data.npz", x=small_data.x, y=small_data.y)
    return found


@pytest.fixture(scope="session")
def small_report(folder: Path) -> nd.Report:
    data = str(folder / "data.npz")
    options: Any = {"board": BOARDS, "target": "truenorth", "samples": SAMPLES}
    return nd.report(folder / "net.ndn", data, **options)


@pytest.fixture(scope="session")
def small_page(small_report: nd.Report) -> str:
    return nd.html(small_report)


@pytest.fixture(scope="session")
def page_file(folder: Path, small_page: str) -> Path:
    path = folder / "page.html"
    path.write_text(small_page, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    found = Browser(program, tmp_path_factory.mktemp("browser"))
    yield found
    found.close()
