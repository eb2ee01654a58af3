"""The conversion study's keys, cache, flags and table; its measurements are not repeated here."""

from __future__ import annotations

import ast
import json
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conversion.__main__ import arguments, finished, refused_before
from benchmarks.conversion.cases import COLUMNS, Cache, Case, against_peers, fall, heading, line
from benchmarks.conversion.peers import FUNCTIONAL, MODES, PEERS, peer_cases
from benchmarks.conversion.priced import CODES, run
from benchmarks.conversion.priced import PEERS as PRICED_PEERS
from neurodeploy.conversion.registry import METHODS

ROOT = Path(__file__).resolve().parents[2]
FOUND = {
    "accuracy": 0.8,
    "source_accuracy": 0.82,
    "agreement": 0.9,
    "spikes": 1234.4,
    "neuron_spikes": 1000.0,
    "payload": 2000.0,
    "cpu_ms": 1.25,
}


def row(timesteps: int = 8, method: str = "rate", **found: Any) -> dict[str, Any]:
    case = Case("vgg_cifar10", method, timesteps, 1000, {"weight_bits": 8})
    return case.row({**FOUND, **found})


def test_key_depends_on_the_question_and_not_on_the_order_of_options() -> None:
    options = {"input": "rate", "weight_bits": 8}
    first = Case("a", "rate", 8, 10, options)
    assert first.key == Case("a", "rate", 8, 10, dict(reversed(options.items()))).key
    others = [
        Case("b", "rate", 8, 10, options),
        Case("a", "graded", 8, 10, options),
        Case("a", "rate", 4, 10, options),
        Case("a", "rate", 8, 11, options),
        Case("a", "rate", 8, 10, {**options, "weight_bits": 4}),
    ]
    assert len({first.key, *(c.key for c in others)}) == 6


def test_cache_survives_a_line_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    cache = Cache(path)
    cache.add(row(4))
    cache.add(row(8))
    path.write_text(path.read_text()[:-20])
    again = Cache(path)
    assert [r["T"] for r in again.rows.values()] == [4]
    again.add(row(16))
    assert [json.loads(text)["T"] for text in path.read_text().splitlines()] == [4, 16]


def test_finished_rows_are_not_measured_again(tmp_path: Path) -> None:
    case = Case("vgg_cifar10", "no such method", 8, 1000, {"weight_bits": 8})
    cache = Cache(tmp_path / "rows.jsonl")
    cache.add(case.row(FOUND))
    assert [r["accuracy"] for r in finished([case], cache)] == [0.8]


def test_line_has_loss_and_a_refusal_its_text() -> None:
    shown = line(row(run_steps=29))
    figures = ("80.00", "+2.00", "90.00", "1234", "1000", "2000", "1.25")
    assert shown.split() == ["vgg_cifar10", "rate", "8", "29", *figures]
    # Peers do not tell how long their layers take.
    assert line(row()).split() == ["vgg_cifar10", "rate", "8", "-", *figures]
    names, rule = heading().splitlines()
    assert len(rule) == sum(width + 2 for _, width in COLUMNS) - 2
    assert names.index("acc %") + len("acc %") == shown.index("80.00") + len("80.00")
    assert line({**row(), "error": "rate: refused"}).endswith("rate: refused")


@pytest.mark.parametrize(("later", "flag"), [(0.797, ""), (0.796, "! 0.40 below T = 8"), (0.9, "")])
def test_a_fall_over_t_is_flagged_within_its_series(later: float, flag: str) -> None:
    before = [row(4, accuracy=0.5), row(8, accuracy=0.8), row(8, "graded", accuracy=0.99)]
    assert fall(row(16, accuracy=later), before) == flag


def test_repeated_refusals_are_shown_once() -> None:
    first, second = ({**row(t), "error": "rate: refused"} for t in (2, 4))
    assert not refused_before(first, [])
    assert refused_before(second, [first])
    assert not refused_before({**second, "error": "rate: too short"}, [first])


def test_best_peer_is_beaten_by_accuracy_with_fewer_spikes() -> None:
    names = ("sinabs", "spikingjelly")
    peers = [row(method="sinabs"), row(method="spikingjelly", accuracy=0.7, spikes=10.0)]
    many = row(spikes=5000.0, neuron_spikes=4000.0)
    assert "NOT beaten" in against_peers([*peers, many], names)[0]
    (pooled,) = against_peers([*peers, row(spikes=5000.0, neuron_spikes=1100.0)], names)
    assert "beaten by rate: 80.00 % 1100 spikes of neurons" in pooled
    (bar,) = against_peers([*peers, row(spikes=1000.0)], names)
    assert "80.00 % 1234 spikes (sinabs)" in bar
    assert "beaten by rate: 80.00 % 1000 spikes" in bar


def test_modes_are_those_that_the_peer_process_knows() -> None:
    # Read, not imported: the converters need the peers' environment.
    tree = ast.parse((ROOT / "benchmarks/conversion/peer_converters.py").read_text("utf-8"))
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MODES"
    )
    assert isinstance(table, ast.Dict)
    known = {
        ast.literal_eval(peer): tuple(ast.literal_eval(mode) for mode in modes.keys)
        for peer, modes in zip(table.keys, table.values, strict=True)
        if peer is not None and isinstance(modes, ast.Dict)
    }
    assert known == MODES


def test_functional_networks_are_also_given_with_modules() -> None:
    plain = peer_cases("vgg_cifar10", "sinabs", [4], 10)
    both = peer_cases(FUNCTIONAL[0], "sinabs", [4], 10)
    assert len(both) == 2 * len(plain)
    assert {c.options.get("form") for c in both} == {None, "nn.ReLU"}


@pytest.mark.parametrize("given", [["--networks", "alexnet"], ["--peers", "norse"]])
def test_unknown_names_end_at_once(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(given)
    assert given[1] in capsys.readouterr().err


def test_codes_that_are_priced_are_named_with_their_time_steps() -> None:
    assert run("sinabs:multi-spike=8") == ("sinabs:multi-spike", 8)
    assert {name for name, _ in CODES} <= set(METHODS)
    for name, _ in PRICED_PEERS:
        peer, _, mode = name.partition(":")
        assert peer in PEERS
        assert mode in MODES[peer]
    for wrong in ("rate", "rate=0", "=8", "rate=1.5", ""):
        with pytest.raises(ArgumentTypeError, match="expected NAME=T"):
            run(wrong)
