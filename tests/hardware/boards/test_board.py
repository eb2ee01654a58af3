from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.errors import BoardError, UnknownNameError
from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.constant import UNITS, Constant
from neurodeploy.hardware.boards.interval import Interval
from neurodeploy.hardware.boards.loading import board_names, load_board
from neurodeploy.hardware.boards.records import EVENTS, SynapseFormat
from neurodeploy.loading.files import parsed_toml


def test_the_boards_that_come_with_the_package() -> None:
    chips = {name: load_board(name).grid.chips for name in board_names()}
    assert chips == {
        "kapoho-bay": 2,
        "kapoho-point": 8,
        "loihi1": 1,
        "loihi2": 1,
        "nahuku-32": 32,
        "ns16e": 16,
        "sanafe-loihi": 1,
        "truenorth": 1,
    }


@pytest.mark.parametrize(
    ("name", "chip"),
    [
        ("kapoho-bay", "loihi1"),
        ("nahuku-32", "loihi1"),
        ("kapoho-point", "loihi2"),
        ("ns16e", "truenorth"),
    ],
)
def test_boards_of_several_chips_are_their_chip_several_times(name: str, chip: str) -> None:
    several, one = load_board(name), load_board(chip)
    assert several.grid.cores_per_chip == one.grid.n_cores
    assert (several.limits, several.events) == (one.limits, one.events)
    assert several.synapses == one.synapses
    assert (several.static, several.overheads) == (one.static, one.overheads)
    # No source tells what a packet between two chips costs: unknown, and so never zero.
    assert several.energy("chip_crossings") is None
    assert several.description != one.description


def test_population_axons_of_loihi1() -> None:
    storage = load_board("loihi1").synapses
    assert storage is not None
    assert (storage.channels_per_axon, storage.shared_axon_slots) == (512, 2)
    plain = load_board("loihi2").synapses
    assert plain is not None
    assert (plain.channels_per_axon, plain.shared_axon_slots) == (1, 1)


@pytest.mark.parametrize("name", board_names())
def test_board_survives_json(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert Board.from_dict(json.loads(json.dumps(board.to_dict()))) == board


def _constants(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict):
        return []
    if "value" in value:
        return [value]
    return [found for entry in value.values() for found in _constants(entry)]


@pytest.mark.parametrize("name", board_names())
def test_every_constant_has_basis_and_source_and_none_is_zero(name: str) -> None:
    constants = _constants(load_board(name).to_dict())
    assert constants
    for constant in constants:
        assert constant["basis"]
        assert constant["source"].strip()
        if constant["unit"] == "1":
            continue
        assert constant["value"] > 0
        assert 0 <= constant["low"] <= constant["value"] <= constant["high"]
        assert (constant["basis"] == "fitted") == ("leave_one_out" in constant)


@pytest.mark.parametrize("name", board_names())
def test_no_number_of_a_board_file_is_without_a_source(name: str) -> None:
    """Every table that holds a number says where it is from, or those around it do."""

    def check(table: Any, place: str) -> None:
        if isinstance(table, list):
            for entry in table:
                check(entry, place)
        elif isinstance(table, dict):
            numbers = [k for k, v in table.items() if isinstance(v, int | float)]
            assert not numbers or table.get("source"), f"{place}: {numbers}"
            for key, entry in table.items():
                check(entry, f"{place}.{key}")

    file = Path(__file__).parents[3] / "boards" / f"{name}.toml"
    check(parsed_toml(file.read_bytes(), name), name)


def test_loihi1_holds_table_2() -> None:
    board = load_board("loihi1")
    energies = {n: c.energy.si for n, c in board.events.items() if c.energy is not None}
    assert energies == {
        "synops": 23.6e-12,
        "neuron_updates_active": 81e-12,
        "neuron_updates_inactive": 52e-12,
        "packets": 1.7e-12,
        "hops_x": 3.0e-12,
        "hops_y": 4.0e-12,
    }
    assert board.events["spikes"].included_in == "neuron_updates_active"
    assert {name: str(term.power) for name, term in board.static.items()} == {
        "x86": "18 mW",
        "x86_code": "3 (0 .. 6) mW",
        "cores": "0.44 (0.38 .. 1.4) mW",
        "chips": "29 (25.5 .. 32.5) mW",
    }
    assert [name for name, term in board.static.items() if term.account == "chip"] == ["chips"]
    assert {name: str(constant) for name, constant in board.overheads.items()} == {
        "management": "3.4 (0 .. 3.5) us",
        "reset": "49 (0 .. 98) us",
        "injection": "4 (2.9 .. 5.1) us",
    }
    assert board.grid.n_cores == 128
    assert board.require_limit("synapse_memory_bits") == 128 * 1024 * 8


def test_loihi2_says_what_it_leaves_out() -> None:
    board = load_board("loihi2")
    assert board.excludes is not None
    assert "input, output and resets" in board.excludes
    assert board.overheads == {}
    assert str(board.events["synops"].energy) == "23.6 (18.9 .. 23.6) pJ"
    assert board.energy("chip_crossings") is None
    assert board.limit("input_axons") is None
    with pytest.raises(BoardError, match=r"board loihi2: limits\.input_axons is unknown"):
        board.require_limit("input_axons")


@pytest.mark.parametrize(("rate", "synapses", "gsops_per_w"), [(20, 128, 46), (200, 256, 400)])
def test_truenorth_reproduces_its_operating_points(
    rate: int, synapses: int, gsops_per_w: float
) -> None:
    board = load_board("truenorth")
    energy, term = board.events["synops"].energy, board.static["cores"]
    assert energy is not None
    assert term.per == "core"
    synops = 2**20 * rate * synapses
    power = term.power.si * board.grid.n_cores + energy.si * synops
    assert power == pytest.approx(synops / (gsops_per_w * 1e9), rel=0.005)


def test_recalled_numbers_say_so() -> None:
    board = load_board("truenorth")
    power = board.static["cores"].power
    for constant in (board.limits["weight_bits"], board.limits["delay_max"], power):
        assert "recalled; not re-checked" in constant.source


def test_tiles_are_numbered_column_by_column() -> None:
    grid = load_board("loihi1").grid
    assert [grid.tile_of(core) for core in (0, 3, 4, 15, 16, 127)] == [
        (0, 0, 0),
        (0, 0, 0),
        (0, 0, 1),
        (0, 0, 3),
        (0, 1, 0),
        (0, 7, 3),
    ]


def test_units_are_powers_of_ten_to_the_last_digit() -> None:
    assert Constant(23.6, "pJ", "published", "x y").si == 23.6e-12
    assert Constant(1, "ms", "published", "x y").si == 1e-3
    bar = Constant(4, "pJ", "published", "x y", 2, 7).interval
    assert bar == Interval(4e-12, 2e-12, 7e-12)
    assert Constant(4, "pJ", "published", "x y").interval == Interval.exactly(4e-12)
    assert all(scale <= 1 for units in UNITS.values() for scale in units.values())


def test_synapse_memory_counts_blocks_and_words() -> None:
    storage = SynapseFormat(10, 0, 64, 10, 64, True, "assumed", "a test")
    # 3 synapses of 18 bits + 10 = 64; 4 need a second word; 64 + 1 need a second block.
    assert [storage.bits_per_axon(n, 8) for n in (0, 3, 4)] == [0, 64, 128]
    assert storage.bits_per_axon(65, 8) == -(-(64 * 18 + 10) // 64) * 64 + 64


def test_unknown_board_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown board 'loihi3'; known: .*loihi1, loihi2"):
        load_board("loihi3")


def test_users_board_by_path(tmp_path: Path) -> None:
    source = Path(__file__).parents[3] / "boards" / "loihi1.toml"
    mine = tmp_path / "mine.toml"
    mine.write_text(source.read_text().replace('"loihi1"', '"mine"'))
    assert load_board(mine).name == load_board(str(mine)).name == "mine"


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"nothing\.toml: no such file"):
        load_board(tmp_path / "nothing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(BoardError, match=r"broken\.toml: not a TOML file: .*") as caught:
        load_board(broken)
    assert "\n" not in str(caught.value)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(BoardError, match="not a TOML file"):
        load_board(broken)


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(board: dict[str, Any]) -> None:
        *folders, last = path.split(".")
        for folder in folders:
            board = board.setdefault(folder, {})
        if value is None:
            del board[last]
        else:
            board[last] = value

    return edit


ENERGY = "events.synops.energy"
BAD: list[tuple[str, Any, str]] = [
    ("colour", "blue", "colour: unknown key; known: name, "),
    ("grid.rows", 3, r"grid\.rows: unknown key"),
    ("limits.axons", {"value": 1}, r"limits\.axons: unknown key"),
    ("events.leaks", {}, r"events\.leaks: unknown key"),
    ("events.synops.power", {}, r"events\.synops\.power: unknown key"),
    (f"{ENERGY}.note", "x", r"events\.synops\.energy\.note: unknown key"),
    (f"{ENERGY}.value", -1.0, r"events\.synops\.energy: negative energy -1\.0"),
    (f"{ENERGY}.low", None, r"events\.synops\.energy\.low: missing; add it"),
    (f"{ENERGY}.high", None, r"events\.synops\.energy\.high: missing; add it"),
    (f"{ENERGY}.low", 99, r"events\.synops\.energy: low 99 lies above high 35\.5; swap them"),
    (f"{ENERGY}.low", 30, r"value 23\.6 lies outside of low 30 \.\. high 35\.5"),
    (f"{ENERGY}.low", -1, r"events\.synops\.energy: negative low -1"),
    (f"{ENERGY}.high", float("inf"), r"events\.synops\.energy: high inf is not a finite number"),
    (f"{ENERGY}.basis", "fitted", r"events\.synops\.energy: fitted, and leave_one_out is None"),
    (f"{ENERGY}.leave_one_out", 0.1, r"leave_one_out belongs to fitted constants, the basis is"),
    ("timing.injection.leave_one_out", None, r"timing\.injection: fitted, and leave_one_out is"),
    ("limits.neurons.low", 3, r"limits\.neurons\.low: unknown key"),
    (f"{ENERGY}.value", 0.0, r"events\.synops\.energy: energy of 0; leave the key out"),
    (f"{ENERGY}.value", "23.6", r"events\.synops\.energy: value '23\.6' is not a number"),
    (f"{ENERGY}.value", True, r"value True is not a number"),
    (f"{ENERGY}.value", float("nan"), r"value nan is not finite"),
    (f"{ENERGY}.unit", "ns", r"unit 'ns'; expected one of J, mJ"),
    (f"{ENERGY}.unit", "J", r"J is above 0\.001 J, more than any board has; is its unit J\?"),
    (f"{ENERGY}.basis", "guessed", r"basis 'guessed'; expected one of measured"),
    (f"{ENERGY}.basis", None, r"events\.synops\.energy\.basis: missing"),
    (f"{ENERGY}.source", " ", r"events\.synops\.energy\.source: got ' '; expected a text"),
    (ENERGY, 23.6, r"events\.synops\.energy: got 23\.6; expected a table"),
    ("events.synops.included_in", "spikes", r"events\.synops: has both energy and included_in"),
    ("events.spikes.included_in", "spikes", r"events\.spikes\.included_in: 'spikes'; expected"),
    ("events.spikes.included_in", "joules", r"events\.spikes\.included_in: 'joules'; expected"),
    ("grid.tiles_x", 0, r"grid\.tiles_x: 0 is below 1"),
    ("grid.tiles_y", 2.0, r"grid\.tiles_y: got 2\.0; expected a whole number"),
    ("grid.chips", None, r"grid\.chips: missing"),
    ("grid.chips", 0, r"grid\.chips: 0 is below 1"),
    ("grid.chips_x", 2, r"grid\.chips_y: missing; chips_x needs it"),
    ("grid.chips_y", 2, r"grid\.chips_x: missing; chips_y needs it"),
    ("limits.neurons", None, r"limits\.neurons: missing"),
    ("limits.neurons.value", 0, r"limits\.neurons: 0 is below 1"),
    ("limits.neurons.value", 1.5, r"limits\.neurons: value 1\.5 is not a whole number"),
    ("limits.neurons.value", 10**10, r"limits\.neurons: 10000000000 is above 2147483647, the most"),
    ("limits.neurons.value", 10**300, "neurons: a number of more than 30 digits is above"),
    ("limits.weight_bits.value", 65, r"limits\.weight_bits: 65 is above 64"),
    ("limits.threshold_exponent.value", -65, r"threshold_exponent: -65 is below -64, the most"),
    ("limits.synapse_memory_bits.value", 2**41, "synapse_memory_bits: 2199023255552 is above"),
    ("grid.tiles_x", 10**9, r"grid\.tiles_x: 1000000000 is above 4194304, the most"),
    ("grid.chips", 2**63, r"grid\.chips: 9223372036854775808 is above 4194304"),
    ("grid.chips", 2**20, r"grid: cores of the board: 134217728 is above 4194304"),
    ("synapses.block_synapses", 10**9, r"synapses\.block_synapses: 1000000000 is above 65536"),
    ("synapses.index_bits", 10**9, r"synapses\.index_bits: 1000000000 is above 64"),
    ("synapses.word_bits", 2**31, r"synapses\.word_bits: 2147483648 is above 2147483647"),
    ("kind", "analog", "kind: 'analog'; expected one of neurocore, crossbar"),
    ("name", "", "name: got ''; expected a text"),
    ("synapses.word_bits", 0, r"synapses\.word_bits: 0 is below 1"),
    ("synapses.shared_convolution", 1, "expected true or false"),
    ("synapses.channels_per_axon", 0, r"synapses\.channels_per_axon: 0 is below 1"),
    ("synapses.shared_axon_slots", 1.5, r"synapses\.shared_axon_slots: got 1\.5; expected a whole"),
    ("events.synops_dense", {}, r"events\.synops_dense: overlaps events\.synops; price synops"),
    ("events.spikes.included_in", "neuron_accesses", r"'neuron_accesses'; expected another event"),
    ("timing.barrier", {}, "timing: both barrier and barrier_by_tiles"),
    ("static_power.cores.per", "rack", r"static_power\.cores\.per: 'rack'; expected one of core"),
    ("static_power.cores.account", "dynamic", r"cores\.account: 'dynamic'; expected one of share"),
    ("static_power.cores.power", {"value": 1}, r"static_power\.cores\.power\.low: missing"),
    ("static_power.cores", 1, r"static_power\.cores: got 1; expected a table"),
    ("static_power", 1, "static_power: got 1; expected a table"),
    ("timing.halves", "none", "timing.halves: 'none'; expected one of overlap, add"),
    ("timing.lockstep", 1, r"timing\.lockstep: got 1; expected true or false"),
    ("timing.excludes", "", "timing.excludes: got ''; expected a text"),
    ("partitioned_by", 3, "partitioned_by: got 3; expected a text"),
    ("events.synops.unknown", "x", r"events\.synops\.unknown: says why there is no price"),
    (
        "timing.tick",
        {"value": 1, "low": 1, "high": 1, "unit": "ms", "basis": "assumed", "source": "a test"},
        "timing: both tick and barrier",
    ),
    ("events", [], r"events: got \[\]; expected a table"),
    ("kind", {}, r"kind: \{\}; expected one of neurocore"),
    ("timing.halves", [], r"timing\.halves: \[\]; expected one of"),
    ("static_power.cores.per", {}, r"cores\.per: \{\}; expected one of"),
    (f"{ENERGY}.unit", ["pJ"], r"unit \['pJ'\]; expected one of"),
    (f"{ENERGY}.basis", {}, r"basis \{\}; expected one of"),
    (f"{ENERGY}.value", 10**400, "value 10+ is not finite"),
    (f"{ENERGY}.high", 10**400, "high 10+ is not a finite number"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), BAD, ids=[f"{b[0]}={b[1]!s:.20}" for b in BAD]
)
def test_bad_board_names_file_key_and_reason(path: str, value: Any, message: str) -> None:
    data = copy.deepcopy(load_board("loihi1").to_dict())
    _set(path, value)(data)
    with pytest.raises(BoardError, match=rf"^mine\.toml: .*{message}") as caught:
        Board.from_dict(data, "mine.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("axons", 4097), ("delay_max", 256)])
def test_crossbars_are_bounded_by_their_files(name: str, value: int) -> None:
    data = copy.deepcopy(load_board("truenorth").to_dict())
    _set(f"limits.{name}.value", value)(data)
    with pytest.raises(
        BoardError, match=rf"limits\.{name}: {value} is above {value - 1}, the most"
    ):
        Board.from_dict(data, "mine.toml")


TIME = {"value": 1, "low": 1, "high": 2, "unit": "us", "basis": "assumed", "source": "a test"}
BAD_BARRIERS: list[tuple[Any, str]] = [
    ([], r"timing\.barrier_by_tiles: got \[\]; expected a list of tables"),
    (TIME, r"timing\.barrier_by_tiles: got \{.*; expected a list of tables"),
    ([TIME], r"timing\.barrier_by_tiles\[0\]\.tiles: missing"),
    ([{"tiles": 2, **TIME}], r"barrier_by_tiles\[0\]\.tiles: 2; the first entry has to start at 1"),
    (
        [{"tiles": 1, **TIME}, {"tiles": 1, **TIME}],
        r"barrier_by_tiles\[1\]\.tiles: 1 overlaps the entry from 1",
    ),
    ([{"tiles": 1, **TIME, "value": -1}], r"barrier_by_tiles\[0\]: negative time -1"),
    ([{"tiles": 1, **TIME, "cores": 4}], r"barrier_by_tiles\[0\]\.cores: unknown key"),
]


@pytest.mark.parametrize(("rows", "message"), BAD_BARRIERS)
def test_bad_barriers_by_tiles(rows: Any, message: str) -> None:
    data = load_board("loihi1").to_dict()
    data["timing"] = {"barrier_by_tiles": rows}
    with pytest.raises(BoardError, match=rf"^mine\.toml: .*{message}") as caught:
        Board.from_dict(data, "mine.toml")
    assert "\n" not in str(caught.value)


def test_barriers_by_tiles_hold_from_their_entry_on_and_may_be_unknown() -> None:
    data = load_board("loihi1").to_dict()
    data["timing"] = {"barrier_by_tiles": [{"tiles": 1, **TIME}, {"tiles": 3}]}
    board = Board.from_dict(data)
    assert [board.barrier_at(n) is not None for n in (1, 2, 3, 100)] == [True, True, False, False]
    assert Board.from_dict(board.to_dict()) == board
    times = [load_board("sanafe-loihi").barrier_at(n) for n in (1, 2, 3, 4, 28, 29, 32)]
    assert [t.si for t in times if t is not None] == pytest.approx(
        [0.6e-6, 1e-6, 1e-6, 1.4e-6, 1.4e-6, 1.8e-6, 1.8e-6]
    )


def test_chips_in_two_directions() -> None:
    data = load_board("loihi1").to_dict()
    data["grid"] |= {"chips": 6, "chips_x": 3, "chips_y": 2, "tiles_x": 2, "tiles_y": 4}
    board = Board.from_dict(data)
    grid = board.grid
    assert (grid.chips, grid.width, grid.height, grid.n_cores) == (6, 6, 8, 6 * 32)
    assert Board.from_dict(board.to_dict()) == board
    # Chip 1 lies south of chip 0, chip 2 east of it; tiles of neighbours continue each other.
    assert grid.positions(np.array([0, 31, 32, 64])).tolist() == [[0, 0], [1, 3], [0, 4], [2, 0]]
    way = grid.hops(0, np.array([31, 32, 64, 191]))
    assert (way.x.tolist(), way.y.tolist()) == ([1, 0, 2, 5], [3, 4, 0, 7])
    assert way.crossings.tolist() == [0, 1, 1, 3]
    data["grid"]["chips"] = 5
    with pytest.raises(BoardError, match=r"grid\.chips: 5 is not 3 x 2"):
        Board.from_dict(data, "mine.toml")


MINE = """
name = "mine"
extends = "loihi1"

[grid]
chips = 4
tiles_x = 8
tiles_y = 4
cores_per_tile = 4
basis = "assumed"
source = "a test"

[limits]
neurons = { value = 512, basis = "assumed", source = "davies2018" }
"""


def test_a_board_can_extend_one_that_comes_with_the_package(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)
    mine, loihi = load_board(tmp_path / "mine.toml"), load_board("loihi1")
    assert (mine.name, mine.description) == ("mine", loihi.description)
    assert (mine.grid.chips, mine.grid.n_cores) == (4, 512)
    # Limits entry by entry, with the sources of both; events as a whole.
    assert mine.require_limit("neurons") == 512
    assert "table 2" in mine.limits["neurons"].source
    assert mine.limits["input_axons"] == loihi.limits["input_axons"]
    assert mine.events == loihi.events


@pytest.mark.parametrize("base", ['"loihi9"', "3", '"mine"', '["loihi1"]'])
def test_a_board_that_extends_nothing_known(tmp_path: Path, base: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace('"loihi1"', base))
    with pytest.raises(BoardError, match=r"mine\.toml: extends: .* known: .*loihi1, ") as caught:
        load_board(path)
    assert "\n" not in str(caught.value)


def test_no_table_at_all() -> None:
    with pytest.raises(BoardError, match="expected a table"):
        Board.from_dict([], "mine.toml")


def test_included_event_cannot_be_included_again() -> None:
    data = load_board("loihi1").to_dict()
    data["events"]["packets"] = {"included_in": "spikes", "source": "a test"}
    with pytest.raises(BoardError, match=r"events\.packets\.included_in: spikes is itself"):
        Board.from_dict(data, "mine.toml")


def test_crossbar_has_no_synapse_memory() -> None:
    data = load_board("truenorth").to_dict()
    data["synapses"] = load_board("loihi1").to_dict()["synapses"]
    with pytest.raises(BoardError, match="synapses: a crossbar board has no synapse memory"):
        Board.from_dict(data, "mine.toml")


def test_what_is_left_out_is_unknown_and_never_zero() -> None:
    data = load_board("loihi1").to_dict()
    del data["events"]["synops"]["energy"]
    board = Board.from_dict(data)
    assert board.events["synops"].energy is None
    assert set(board.events) == set(EVENTS)
