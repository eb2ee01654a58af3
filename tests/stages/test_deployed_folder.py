"""The folder of a ``deploy`` as a stranger may send it: read whole, or refused in one line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.datasets import Samples
from neurodeploy.errors import FileFormatError, UnknownNameError, UsageError
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.ir.netlist import IntegerNetlist
from neurodeploy.network import Network, save_network
from neurodeploy.stages.deploy_record import DEPLOYED_FILE, Name, Record, Step, plain_name
from neurodeploy.stages.deployed import Deployed, read_deployed
from neurodeploy.stages.fingerprints import model_fingerprint, samples_fingerprint
from neurodeploy.testing import NetlistBuilder

RESULT = b'{"spikes": 3}'


def netlist() -> IntegerNetlist:
    return NetlistBuilder(T=2).input("x", (3,)).dense(2).output()


def record() -> Record:
    digest = hashlib.sha256(RESULT).hexdigest()
    result = "steps/loihi2-verify-lava.json"
    steps = (
        Step("quantize", "loihi2", None, "done", 0.5, "8 bits", (), None, {"loihi2-int8.ndn": "0"}),
        Step("compile", "loihi2", "lava", "done", 1, "", (), None, {"loihi2-lava/lava.json": "0"}),
        Step("verify", "loihi2", "lava", "done", 2.5, "x", ("w",), result, {result: digest}),
        Step("compile", "loihi2", "other", "refused", 0, "too wide"),
    )
    boards = {"loihi2": load_board("loihi2").to_dict()}
    return Record("0.1.0", ("neurodeploy", "deploy"), {"seed": 1}, ("loihi2",), boards, steps)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "loihi2-verify-lava.json").write_bytes(RESULT)
    save_network(Network(netlist()), tmp_path / "loihi2-int8.ndn")
    record().write(tmp_path)
    return tmp_path


def test_what_was_written_is_read(folder: Path) -> None:
    deployed = read_deployed(folder)
    assert deployed == Deployed(folder, record())
    assert repr(deployed) == f"Deployed({folder}: loihi2; 4 steps, not finished)"
    assert deployed.result(deployed.step("verify", "loihi2", "lava")) == {"spikes": 3}
    assert deployed.result(deployed.step("energy", "loihi2")) is None
    assert deployed.compiled("loihi2") == ("lava",)
    network = deployed.network("loihi2")
    assert network is not None
    assert network.netlist == netlist()
    assert deployed.real("loihi2") is None
    assert deployed.deployment("loihi2", "other") is None
    assert deployed.refusal("loihi2") is None
    assert deployed.board("loihi2") == load_board("loihi2")
    assert deployed.to_dict()["steps"][2]["result"] == {"spikes": 3}
    json.dumps(deployed.to_dict())
    with pytest.raises(UnknownNameError, match="loihi1"):
        deployed.board("loihi1")


def change(table: dict[str, Any], *path: Any, to: Any) -> None:
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = to


@pytest.mark.parametrize(
    ("path", "to", "reason"),
    [
        (("schema",), 2, "schema version 2, this neurodeploy reads 1"),
        (("steps",), {}, "damaged"),
        (("steps", 0), [], "Step of type list; expected a table"),
        (("steps", 0, "seconds"), "1", "Step: seconds '1'; expected a number"),
        (("steps", 0, "status"), "fine", "Step: status 'fine'"),
        (("steps", 0, "name"), "format", "Step: name 'format'"),
        (("steps", 0, "colour"), 1, r"unknown fields \['colour'\]"),
        (("steps", 0, "files"), {"../../x": "0"}, "damaged"),
        (("steps", 0, "files"), {"/etc/passwd": "0"}, "damaged"),
        (("steps", 2, "result"), "../deploy.json", "damaged"),
        (("steps", 1, "target"), "../../lava", "damaged"),
        (("boards",), ["a/b"], "damaged"),
        (("boards",), "loihi2", "Record: boards 'loihi2'"),
        (("running",), ["../x"], "damaged"),
        (("finished",), 1, "Record: finished 1; expected true or false"),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(
    folder: Path, path: tuple[Any, ...], to: Any, reason: str
) -> None:
    where = folder / DEPLOYED_FILE
    table = json.loads(where.read_text())
    change(table, *path, to=to)
    where.write_text(json.dumps(table))
    with pytest.raises(FileFormatError, match=reason) as told:
        read_deployed(folder)
    assert str(told.value).startswith(str(where))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1, "schema": 1}', "[" * 10**5])
def test_no_record_is_refused(folder: Path, text: str) -> None:
    (folder / DEPLOYED_FILE).write_text(text)
    with pytest.raises(FileFormatError, match="damaged; choose a new folder"):
        read_deployed(folder)


BAR = {"likely": 2.0, "low": 1.0, "high": None}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "evaluate",
            ({}, {"accuracy": {"4": 0.5}, "output_rmse": {"4": {}}, "source_accuracy": None}),
            ([], {"accuracy": "x"}, {"output_rmse": 3}, {"source_accuracy": True}),
        ),
        ("verdict", ({"answer": "fits"},), ({}, {"answer": None}, {"answer": []})),
        ("verify", ({"exact": False},), (3, {"exact": "yes"})),
        ("compile", ({}, {"restated": {"summary": "in parts"}}), ({"restated": {}},)),
        (
            "energy",
            ({}, {"energy_per_inference_j": {"total": BAR}, "cores": 2}),
            (
                {"energy_per_inference_j": []},
                *({"time_per_inference_s": {**BAR, "low": value}} for value in (None, 10**400)),
            ),
        ),
    ],
)
def test_a_result_of_another_shape_is_damaged(
    tmp_path: Path, name: Name, good: tuple[Any, ...], bad: tuple[Any, ...]
) -> None:
    (tmp_path / "steps").mkdir()
    file = f"steps/{name}.json"

    def result(told: Any) -> Any:
        content = json.dumps(told).encode()
        (tmp_path / file).write_bytes(content)
        files = {file: hashlib.sha256(content).hexdigest()}
        step = Step(name, "loihi2", None, "done", 0, "", (), file, files)
        return Deployed(tmp_path, record()).result(step)

    assert [result(told) for told in good] == list(good)
    for told in bad:
        with pytest.raises(FileFormatError, match=f"{name}.json: damaged; delete it"):
            result(told)


def test_what_is_not_there_or_was_changed_is_told(folder: Path, tmp_path: Path) -> None:
    deployed = read_deployed(folder)
    step = deployed.step("verify", "loihi2", "lava")
    result = folder / "steps" / "loihi2-verify-lava.json"
    result.write_bytes(b'{"spikes": 4}')
    with pytest.raises(FileFormatError, match="was changed after it was written"):
        deployed.result(step)
    result.unlink()
    with pytest.raises(FileFormatError, match="no such file"):
        deployed.result(step)
    with pytest.raises(FileFormatError, match=r"no such folder; 'neurodeploy deploy"):
        read_deployed(tmp_path / "gone")
    (folder / DEPLOYED_FILE).unlink()
    with pytest.raises(FileFormatError, match=r"holds no deploy.json"):
        read_deployed(folder)


def test_names_become_names_of_files() -> None:
    assert plain_name("board", "loihi2-mine") == "loihi2-mine"
    for name in ("../x", "a/b", "", ".hidden", "a b", "-x"):
        with pytest.raises(UsageError, match="becomes the name of a file"):
            plain_name("board", name)


def test_fingerprints_tell_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "net.py": "import numpy\nimport layers\nfrom package.deep import block\n",
        "layers.py": "import package\n",
        "other.py": "",
        "package/__init__.py": "",
        "package/deep.py": "from . import near\n",
        "package/near.py": "",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    for model in ("net.py:net", f"{tmp_path}/net.py:net"):
        before = model_fingerprint(model)
        for name in files:
            Path(name).write_text(files[name] + "\n")
            assert (model_fingerprint(model) != before) == (name != "other.py"), name
            Path(name).write_text(files[name])
        assert model_fingerprint(model) == before
    assert model_fingerprint("net.py:other") != model_fingerprint("net.py:net")
    before = model_fingerprint("package.deep:block")
    Path("package/near.py").write_text("x = 1\n")
    assert model_fingerprint("package.deep:block") != before


def test_fingerprints_of_samples_hold_all_that_matters() -> None:
    x, y = np.zeros((4, 1, 2, 2), np.float32), np.array([0, 1, 0, 1])
    same = Samples(x, y, name="one")
    others = [
        Samples(x + 1, y),
        Samples(x, 1 - y),
        Samples(x, y, norm=(0.5, 0.5)),
        Samples(x, y, split="train"),
        Samples(x, y, range=(0, 2)),
        Samples(x, y, indices=[1, 2, 3, 4]),
        Samples(x[:3], y[:3]),
    ]
    assert samples_fingerprint(same) == samples_fingerprint(Samples(x, y, name="two"))
    found = {samples_fingerprint(one) for one in (same, *others)}
    assert len(found) == len(others) + 1
