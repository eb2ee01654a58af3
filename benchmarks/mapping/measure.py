"""One network on one board: partition and placement with their seconds and memory."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.mapping.boards import BOARDS
from benchmarks.mapping.networks import NETWORKS, neurons_of, vgg16
from benchmarks.memory import peak_bytes
from neurodeploy.errors import CapacityError
from neurodeploy.hardware.cut.flows import core_flows
from neurodeploy.hardware.cut.partition import partition
from neurodeploy.hardware.place.placement import place
from neurodeploy.ir.netlist import IntegerNetlist


def case(network: str, board: str) -> dict[str, Any]:
    """Figures of a named network."""
    return measured(NETWORKS[network](), board)


def sized(pixels: int, board: str) -> dict[str, Any]:
    """Figures of VGG-16 behind an image of so many pixels, with 1000 classes."""
    return measured(vgg16(pixels, (1000,)), board)


def measured(netlist: IntegerNetlist, board: str) -> dict[str, Any]:
    """Partition, packets of one spike of every neuron, placement for energy."""
    target = BOARDS[board](neurons_of(netlist))
    row: dict[str, Any] = {
        "network": netlist.name,
        "board": target.name,
        "neurons": neurons_of(netlist),
        "start_gb": peak_bytes() / 1e9,
    }
    start = time.perf_counter()
    try:
        mapping = partition(netlist, target)
    except CapacityError as error:
        return row | {"refused": str(error), "partition_s": time.perf_counter() - start}
    cut = time.perf_counter()
    flows = core_flows(mapping, netlist)
    counted = time.perf_counter()
    placement = place(mapping, flows, "energy")
    placed = time.perf_counter()
    chosen = placement.chosen
    return row | {
        "cores": mapping.n_cores,
        "chips": placement.mapping.n_chips,
        "bound": mapping.lower_bound,
        "pairs": int(flows.source.size),
        "partition_s": cut - start,
        "flows_s": counted - cut,
        "place_s": placed - counted,
        "seconds": placed - start,
        "peak_gb": peak_bytes() / 1e9,
        "rounds": chosen.rounds,
        "out_of_time": any(c.out_of_time for c in placement.candidates),
        "chosen": chosen.name,
        "hops_per_packet": {c.name: c.cost.hops_per_packet for c in placement.candidates},
        "key": {c.name: c.cost.key for c in placement.candidates},
        "layers": [layer.to_dict() for layer in mapping.layers()],
    }
