"""Bad model specifications and weight files: one clear line each."""

from __future__ import annotations

import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch front end needs torch")

from torch import nn  # noqa: E402

import neurodeploy as nd  # noqa: E402
from neurodeploy.errors import FileFormatError, NeurodeployWarning, UnknownNameError, UsageError  # noqa: E402
from neurodeploy.source.torch.loader import load_torch  # noqa: E402

MODEL = """
import torch
from torch import nn
from layers import width

def build():
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Dropout())

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

instance = Net()
number = 3

def needs(x):
    return Net()

def breaks():
    raise ValueError("first line\\nsecond line")

def gives_none():
    return None

def meta():
    return nn.Linear(4, 2, device="meta")

def lazy():
    return nn.LazyLinear(2)

def parallel():
    return nn.DataParallel(build())

def tied():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    return net

def with_nan():
    net = Net()
    net.fc.weight.data[0, 0] = float("nan")
    return net
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "layers.py").write_text("width = 3\n")
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def _one_line(caught: pytest.ExceptionInfo[Exception]) -> str:
    message = str(caught.value)
    assert message.strip()
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["build", "Net", "instance"])
def test_function_class_and_instance(model: Path, name: str) -> None:
    module = load_torch(f"{model}:{name}")
    assert isinstance(module, nn.Module)
    assert not any(m.training for m in module.modules())


def test_importable_module() -> None:
    assert isinstance(load_torch("torch.nn:Identity"), nn.Identity)


def test_a_module_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_networks.py").write_text("from own_layers import Layer as build\n")
    (tmp_path / "own_layers.py").write_text("from torch.nn import Identity as Layer\n")
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_torch("own_networks:build"), nn.Identity)


def test_an_installed_module_imports_nothing_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "a_library.py").write_text(
        "try:\n    import an_extra\nexcept ImportError:\n    pass\n"
        "from torch.nn import Identity as build\n"
    )
    (tmp_path / "stranger").mkdir()
    for name in ("an_extra", "a_library"):
        code = f"open({str(tmp_path / 'mark')!r}, 'w').close()\n"
        (tmp_path / "stranger" / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    monkeypatch.chdir(tmp_path / "stranger")
    assert isinstance(load_torch("a_library:build"), nn.Identity)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "model_state_dict", "module."])
def test_weights_are_loaded(model: Path, tmp_path: Path, wrap: str) -> None:
    state = {k: v + 2 for k, v in load_torch(f"{model}:build").state_dict().items()}
    saved = {"plain": state, "module.": {f"module.{k}": v for k, v in state.items()}}
    torch.save(saved.get(wrap, {wrap: state, "epoch": 3}), tmp_path / "w.pt")

    loaded = load_torch(f"{model}:build", tmp_path / "w.pt").state_dict()
    for key, value in state.items():
        assert torch.equal(loaded[key], value), key


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("{dir}/model.py", UsageError, "expected file.py:factory"),
        ("{dir}/model.py:", UsageError, "expected file.py:factory"),
        ("{dir}/none.py:build", FileFormatError, "no such file"),
        ("{dir}/model.py:biuld", UnknownNameError, "did you mean 'build'"),
        ("{dir}/model.py:number", UsageError, "is a int, expected a torch.nn.Module"),
        ("{dir}/model.py:needs", UsageError, "fails when called without arguments"),
        ("{dir}/model.py:breaks", UsageError, r"ValueError: first line \(line 21 of model.py\)"),
        ("{dir}/model.py:gives_none", UsageError, "gives a NoneType"),
        ("{dir}/model.py:with_nan", FileFormatError, "'fc.weight' holds 1 NaN or infinite"),
        ("{dir}/model.py:meta", FileFormatError, "'weight' has no values .device 'meta'"),
        ("{dir}/model.py:lazy", FileFormatError, "'weight' has no shape before the first call"),
        ("{dir}/syntax.py:build", UsageError, "cannot be imported: SyntaxError"),
        ("{dir}/leaves.py:build", UsageError, "cannot be imported: SystemExit"),
        ("no.such.module:build", UsageError, "cannot be found"),
    ],
)
def test_bad_specification(
    model: Path, tmp_path: Path, spec: str, error: type[Exception], says: str
) -> None:
    (tmp_path / "syntax.py").write_text("def build(:\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(error, match=says) as caught:
        load_torch(spec.format(dir=tmp_path))
    _one_line(caught)


def test_what_a_model_prints_is_no_answer(tmp_path: Path, capsys) -> None:
    code = "from torch import nn\nprint('at import')\n"
    (tmp_path / "loud.py").write_text(
        f"{code}def build():\n    print('built')\n    return nn.ReLU()"
    )
    load_torch(f"{tmp_path}/loud.py:build")
    assert capsys.readouterr() == ("", "at import\nbuilt\n")


class Talks(nn.Linear):
    """Prints in every call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("called")
        return super().forward(x)


class Chatter(torch.utils.data.Dataset):
    """Prints where it is read."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        print("read")
        return torch.full((3,), index / 4)


def test_what_a_model_prints_when_it_is_called_is_no_answer(capsys) -> None:
    nd.convert(Talks(3, 2), Chatter(), method="graded", timesteps=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert {"called", "read"} <= set(err.split())


class Runs:
    """Leaves a mark if it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def _truncated(path: Path, state: dict) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:200])


WRITERS = {
    "empty": (lambda path, state: path.write_bytes(b""), "truncated or not a torch file"),
    "truncated": (_truncated, "truncated or not a torch file"),
    "text": (lambda path, state: path.write_text("hello weights"), "not a torch file"),
    "folder": (lambda path, state: path.mkdir(), "is a folder"),
    "code": (
        lambda path, state: torch.save(Runs(path.with_name("mark")), path),
        "holds pickled code .*never executed",
    ),
    "plain pickle with code": (
        lambda path, state: path.write_bytes(pickle.dumps(Runs(path.with_name("mark")))),
        "not a torch file",
    ),
    "whole module": (lambda path, state: torch.save(nn.Linear(4, 2), path), "holds pickled code"),
    "tensor": (lambda path, state: torch.save(torch.zeros(3), path), "no state dict"),
    "list": (lambda path, state: torch.save([1, 2], path), "no state dict"),
    "empty dict": (lambda path, state: torch.save({}, path), "no state dict"),
    "numbers": (lambda path, state: torch.save({"fc.weight": 3}, path), "no state dict"),
    "missing key": (
        lambda path, state: torch.save({"fc.bias": state["fc.bias"]}, path),
        "do not fit the model: missing 'fc.weight'",
    ),
    "unexpected key": (
        lambda path, state: torch.save(
            {**state, **{f"x{i}": torch.ones(1) for i in range(5)}}, path
        ),
        "unexpected 'x0', 'x1', 'x2' and 2 more",
    ),
    "shape": (
        lambda path, state: torch.save({**state, "fc.weight": torch.ones(2, 5)}, path),
        r"'fc.weight' has shape \(2, 5\), expected \(2, 4\)",
    ),
    "nan": (
        lambda path, state: torch.save({**state, "fc.bias": torch.tensor([1, float("nan")])}, path),
        "'fc.bias' holds 1 NaN or infinite values of 2",
    ),
    "infinite": (
        lambda path, state: torch.save({**state, "fc.bias": torch.full((2,), float("inf"))}, path),
        "'fc.bias' holds 2 NaN or infinite values",
    ),
    "beyond float32": (
        lambda path, state: torch.save(
            {**state, "fc.bias": torch.full((2,), 1e300, dtype=torch.float64)}, path
        ),
        "'fc.bias' holds 2 NaN or infinite values",
    ),
}

NO_WEIGHTS = {
    "sparse": (lambda w: w.to_sparse(), "'fc.weight' is of layout sparse_coo.*to_dense"),
    "sparse rows": (lambda w: w.to_sparse_csr(), "'fc.weight' is of layout sparse_csr"),
    "meta": (lambda w: w.to("meta"), "'fc.weight' has no values"),
    "float8": (lambda w: w.to(torch.float8_e4m3fn), r"is float8_e4m3fn.*tensor\.float"),
    "complex": (lambda w: w + 1j, "is complex64, the model takes float32; its imaginary part"),
    "truth values": (lambda w: w > 0, "'fc.weight' is bool, the model takes float32; save"),
    "integers": (lambda w: (100 * w).to(torch.int8), "is int8, the model takes float32.*scale"),
    "quantized": (
        lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
        r"is qint8, the model takes float32; save tensor\.dequantize",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", NO_WEIGHTS)
def test_tensors_that_are_no_weights_are_refused_by_name(
    model: Path, tmp_path: Path, case: str
) -> None:
    made, says = NO_WEIGHTS[case]
    state = load_torch(f"{model}:Net").state_dict()
    torch.save({**state, "fc.weight": made(state["fc.weight"])}, tmp_path / "w.pt")
    with pytest.raises(FileFormatError, match=says) as caught:
        load_torch(f"{model}:Net", tmp_path / "w.pt")
    _one_line(caught)


@pytest.mark.parametrize(("count", "fits"), [(3.0, True), (3.5, False)])
def test_integers_saved_as_floats_are_taken_where_they_are_exact(
    model: Path, tmp_path: Path, count: float, fits: bool
) -> None:
    state = load_torch(f"{model}:build").state_dict()
    torch.save({**state, "1.num_batches_tracked": torch.tensor(count)}, tmp_path / "w.pt")
    if fits:
        loaded = load_torch(f"{model}:build", tmp_path / "w.pt").state_dict()
        assert int(loaded["1.num_batches_tracked"]) == 3
    else:
        with pytest.raises(FileFormatError, match="is float32, the model takes int64"):
            load_torch(f"{model}:build", tmp_path / "w.pt")


@pytest.mark.parametrize("case", WRITERS)
def test_bad_weights(model: Path, tmp_path: Path, case: str) -> None:
    write, says = WRITERS[case]
    path = tmp_path / "w.pt"
    write(path, load_torch(f"{model}:Net").state_dict())

    with pytest.raises(FileFormatError, match=says) as caught:
        load_torch(f"{model}:Net", path)
    assert str(path) in _one_line(caught)
    assert not (tmp_path / "mark").exists()


def test_missing_weights(model: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"none.pt: no such file"):
        load_torch(f"{model}:Net", tmp_path / "none.pt")


@pytest.mark.parametrize(
    "error", [EOFError(), OSError(), pickle.UnpicklingError(), RuntimeError("a\nb"), KeyError("k")]
)
def test_errors_of_torch_load_without_text(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*args, **kwargs):
        raise error

    (tmp_path / "w.pt").write_bytes(b"x")
    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(FileFormatError, match="not a torch file") as caught:
        load_torch(f"{model}:Net", tmp_path / "w.pt")
    _one_line(caught)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"model": s, "epoch": 3},
        lambda s: {"net": s},
        lambda s: {"network": s, "optimizer": {"state": {}}},
        lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}},
        lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
        lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
        lambda s: {**{f"backbone.{k}": v for k, v in s.items()}, "criterion.weight": torch.ones(2)},
        lambda s: {"checkpoint": {"ema": s}, "lr": 0.1},
    ],
)
def test_weights_in_wrappers_and_under_prefixes(model: Path, tmp_path: Path, wrap: Any) -> None:
    state = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout()).state_dict()
    torch.save(wrap(state), tmp_path / "w.pt")
    for name, prefix in (("build", ""), ("parallel", "module.")):
        module = load_torch(f"{model}:{name}", tmp_path / "w.pt")
        for key, value in module.state_dict().items():
            assert torch.equal(value, state[key.removeprefix(prefix)])


def test_a_script_finds_no_arguments_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["neurodeploy", "convert", "--width", "7"])
    (tmp_path / "script.py").write_text(
        "import argparse\nfrom torch import nn\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--width', type=int, default=2)\nargs = parser.parse_args()\n"
        "def build():\n    return nn.Linear(3, parser.parse_args().width + args.width)\n"
        "def needs(x):\n    pass\n"
        "def fails():\n    import json\n    json.loads('{')\n"
    )
    assert load_torch(f"{tmp_path / 'script.py'}:build").out_features == 4
    assert sys.argv[2:] == ["--width", "7"]
    for name, says in (
        ("needs", r"argument: 'x'; mend it"),
        ("fails", r"\(line 12 of script.py\)"),
    ):
        with pytest.raises(UsageError, match=says):
            load_torch(f"{tmp_path / 'script.py'}:{name}")


def test_a_neighbour_is_that_of_its_own_folder(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "layers.py").write_text("width = 5\n")
    (other / "model.py").write_text(MODEL)
    widths = [load_torch(f"{path}:build")[0].out_features for path in (model, other / "model.py")]
    assert widths == [3, 5]
    assert load_torch(f"{model}:build")[0].out_features == 3


def test_copies_of_the_weights_in_one_file_are_told(model: Path, tmp_path: Path) -> None:
    state = nn.Linear(4, 2).state_dict()
    net, ema = ({f"fc.{k}": n * torch.ones_like(v) for k, v in state.items()} for n in (1, 2))
    torch.save({"ema": ema, "model": net}, tmp_path / "w.pt")
    with pytest.warns(NeurodeployWarning, match="'model' are taken; such weights .* 'ema' too"):
        assert load_torch(f"{model}:Net", tmp_path / "w.pt").fc.bias[0] == 1
    for both, says in (
        ({"ema": ema, "best": net}, "2 state dicts, under 'ema', 'best'"),
        ({**net, **{f"ema.{k}": v for k, v in ema.items()}}, "2 times, under '', 'ema.'"),
    ):
        torch.save(both, tmp_path / "w.pt")
        with pytest.raises(FileFormatError, match=f"{says}; save the one that is meant by itself"):
            load_torch(f"{model}:Net", tmp_path / "w.pt")


def test_weights_that_a_network_shares(model: Path, tmp_path: Path) -> None:
    state = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).state_dict()
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(
        FileFormatError, match=r"'1\.weight' and '0\.weight' differ, the model shares"
    ):
        load_torch(f"{model}:tied", tmp_path / "w.pt")
    # Files of safetensors hold such a tensor once.
    del state["1.weight"]
    torch.save(state, tmp_path / "w.pt")
    assert torch.equal(load_torch(f"{model}:tied", tmp_path / "w.pt")[1].weight, state["0.weight"])


def test_weights_of_two_networks_are_refused(model: Path, tmp_path: Path) -> None:
    state = nn.Linear(4, 2).state_dict()
    both = {f"{who}.fc.{k}": v for who in ("student", "teacher") for k, v in state.items()}
    torch.save(both, tmp_path / "w.pt")
    with pytest.raises(FileFormatError, match=r"2 times, under 'student.', 'teacher.'") as caught:
        load_torch(f"{model}:Net", tmp_path / "w.pt")
    _one_line(caught)


def test_archives_that_are_no_weights_are_named(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", weight=np.ones(3))
    torch.export.save(torch.export.export(nn.Linear(4, 2), (torch.ones(1, 4),)), tmp_path / "w.pt2")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/code/__torch__.py", b"")
    for name, says in {
        "w.npz": "is a NumPy archive",
        "w.pt2": "an exported program: convert it as the model",
        "script.pt": "is a TorchScript program, whose code is not read",
    }.items():
        with pytest.raises(FileFormatError, match=says) as caught:
            load_torch(f"{model}:Net", tmp_path / name)
        _one_line(caught)


@pytest.mark.parametrize("name", ["net.pt", "runs/best.ckpt", "w.pth", "w.npz"])
def test_a_file_of_weights_is_no_network(name: str) -> None:
    with pytest.raises(UsageError, match=f"holds weights, not the network.*--weights {name}"):
        load_torch(name)
