"""Linear layers that follow one another: one product, or a population between them.

The product is exact and needs no neurons, but may have many more synapses: a narrow layer between
two wide ones (an inverted bottleneck), or the average of a whole map before a matrix, is there to
save them. A population costs a layer of latency and the error of its code. It is made where the
product would cost a share of the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from neurodeploy.conversion.lowering.activation_graph import LinearProduct
from neurodeploy.conversion.lowering.affine import Affine, Term
from neurodeploy.conversion.lowering.context import Blocks, Lowering
from neurodeploy.ir.arrays import AnyArray
from neurodeploy.ir.composition import MAX_COMPOSED_SYNAPSES, composed_synapses
from neurodeploy.ir.connectivity import Connectivity
from neurodeploy.source.analog import AnalogNode, macs

LEAST_SHARE = 0.01
"""Share of the network's multiplications: synapses that a population has to save."""
LEAST_SYNAPSES = 2**22
"""As many as some tens of cores hold: below them a product that is exact is worth its synapses."""
SHOWN = 3


def multiplied(lowering: Lowering, layer: Connectivity, block: Affine, node: AnalogNode) -> Affine:
    """A linear layer of a block, which becomes a population first where that is worth it."""
    if all(term.connectivity is None for term in block.terms):
        return block.mapped(layer, node.name)
    together, longest = _together(layer, block)
    twice = lowering.options.linear == "rails" and not lowering.is_non_negative(block)
    apart = (layer.n_synapses + sum(map(_synapses, block.terms))) * (1 + twice)
    saved = together - apart
    least = LEAST_SYNAPSES * lowering.options.population_cost
    worth = saved > max(least, LEAST_SHARE * sum(macs(lowering.graph).values()))
    separated = worth or longest > MAX_COMPOSED_SYNAPSES
    if saved > LEAST_SYNAPSES or separated:
        lowering.products.append(LinearProduct(node.inputs[0], together, apart, separated))
    if separated:
        block = _populated(lowering, block, node)
    return block.mapped(layer, node.name)


def summed_products(
    node: AnalogNode,
    blocks: Blocks,
    weight: AnyArray,
    product: Callable[[AnyArray, Affine], Affine],
) -> Blocks:
    """A layer of a row of blocks: the sum of their products with their columns of ``weight``."""
    op: Any = node.op
    total = Affine(node.shape, (), np.zeros(node.shape))
    bounds = np.cumsum([block.shape[0] for block in blocks])[:-1]
    parts = np.split(weight.astype(np.float64), bounds, axis=1)
    for block, part in zip(blocks, parts, strict=True):
        total = total.plus(product(part, block))
    return (total if op.bias is None else total.shifted(op.bias),)


def told(products: Sequence[LinearProduct]) -> list[str]:
    """What became of linear layers whose product has many more synapses, a line each way."""
    lines = []
    for separated, text in (
        (True, "{n} become populations, {apart:,} synapses in place of {together:,}: {names}"),
        (False, "{n} multiplied into others, {together:,} synapses in place of {apart:,}: {names}"),
    ):
        found = [p for p in products if p.separated is separated]
        if found:
            names = ", ".join(p.node for p in found[:SHOWN]) + (" ..." if found[SHOWN:] else "")
            together, apart = (sum(getattr(p, k) for p in found) for k in ("together", "apart"))
            line = text.format(n=len(found), together=together, apart=apart, names=names)
            lines.append(f"linear layers: {line}")
    return lines


def _together(layer: Connectivity, block: Affine) -> tuple[int, int]:
    """Synapses of the product, and of the longest list among them."""
    total = longest = 0
    for term in block.terms:
        if term.connectivity is None:
            total += layer.n_synapses
            continue
        n, listed = composed_synapses(layer, term.connectivity)
        total += n
        longest = max(longest, listed)
    return total, longest


def _synapses(term: Term) -> int:
    return term.scale.size if term.connectivity is None else term.connectivity.n_synapses


def _populated(lowering: Lowering, block: Affine, node: AnalogNode) -> Affine:
    """The block as populations, for all that still take it."""
    name = node.inputs[0]
    whole = lowering.tensors[name]
    coded = lowering.coded(block, name, name if len(whole) == 1 and block is whole[0] else None)
    lowering.tensors[name] = tuple(coded if other is block else other for other in whole)
    return coded
