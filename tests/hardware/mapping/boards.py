"""Boards with any grid and any prices of hops."""

from __future__ import annotations

import dataclasses

from neurodeploy.hardware.boards.board import Board
from neurodeploy.hardware.boards.constant import Constant
from neurodeploy.hardware.boards.grid import Grid
from neurodeploy.hardware.boards.loading import load_board
from neurodeploy.hardware.boards.records import EventCost


def joules(value: float) -> Constant:
    return Constant(value, "pJ", "assumed", "a test")


def seconds(value: float) -> Constant:
    return Constant(value, "ns", "assumed", "a test")


def grid(
    chips: tuple[int, int] = (1, 1), tiles: tuple[int, int] = (8, 8), cores_per_tile: int = 1
) -> Grid:
    return Grid(*chips, *tiles, cores_per_tile, "assumed", "a test")


def board(
    where: Grid | None = None,
    *,
    hops: tuple[float, float] | None = (3.0, 4.0),
    crossing: float | None = 50.0,
    **limits: int,
) -> Board:
    """Loihi 1 with another grid, other hop energies (pJ; None: unknown) and other limits."""
    start = load_board("loihi1").events_alone()
    events = dict(start.events)
    for event, price in (
        ("hops_x", None if hops is None else hops[0]),
        ("hops_y", None if hops is None else hops[1]),
        ("chip_crossings", crossing),
    ):
        latency = None if event == "chip_crossings" else seconds(5.0)
        events[event] = EventCost(None if price is None else joules(price), latency)
    known = dict(start.limits) | {
        name: Constant(value, "1", "assumed", "a test") for name, value in limits.items()
    }
    # The conformance netlists use weights of up to 16 bits.
    del known["weight_bits"]
    return dataclasses.replace(
        start,
        grid=grid() if where is None else where,
        events=events,
        limits=known,
        neurons={},
    )


def with_storage(base: Board, *, shared: bool, channels: int) -> Board:
    assert base.synapses is not None
    storage = dataclasses.replace(
        base.synapses, shared_convolution=shared, channels_per_axon=channels
    )
    return dataclasses.replace(base, synapses=storage)
