"""Operators on integers of a runtime as the operators on real numbers that they stand for.

ONNX Runtime writes quantized networks in two formats. Where an operator takes integers with their
scales and gives integers with theirs ("QOperator"), the other format ("QDQ") says the same by
DequantizeLinear before an operator on real numbers and QuantizeLinear behind it: this is what a
file is rewritten to. What the integers are rounded from differs in the last digits alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from neurodeploy.ir.arrays import AnyArray
from neurodeploy.source.onnx.quantized import OTHER_NAMES, QONNX

RUNTIME = "com.microsoft"
_ALIKE = ("QuantizeLinear", "DequantizeLinear")
"""Operators of the runtime that are those of ONNX, for more types."""


def rewrite(model: Any, array: Callable[[Any], AnyArray]) -> None:
    """Put operators on real numbers in the place of those on integers; ``array`` reads a weight."""
    for item in (*model.opset_import, *model.graph.node):
        item.domain = OTHER_NAMES.get(item.domain, item.domain)
    for node in model.graph.node:
        if node.domain == QONNX:
            node.op_type = OTHER_NAMES.get(node.op_type, node.op_type)
    if quantized(model):
        _Rewriting(model, array).run()


def quantized(model: Any) -> bool:
    """Whether a network holds operators on integers."""
    return any(
        node.op_type in ("DequantizeLinear", *_STANDS_FOR)
        for node in model.graph.node
        if node.domain in ("", "ai.onnx", RUNTIME)
    )


class _Rewriting:
    def __init__(self, model: Any, array: Callable[[Any], AnyArray]) -> None:
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.array = array
        self.nodes: list[Any] = []

    def run(self) -> None:
        for node in self.graph.node:
            whole = node.domain in ("", "ai.onnx", RUNTIME) and all(node.output)
            if node.op_type in _ALIKE and node.domain == RUNTIME:
                node.domain = ""
            if node.op_type not in _STANDS_FOR or not whole or not self.rewritten(node):
                self.nodes.append(node)
        copies = [type(node).FromString(node.SerializeToString()) for node in self.nodes]
        del self.graph.node[:]
        self.graph.node.extend(copies)

    def rewritten(self, node: Any) -> bool:
        """Rewrite a node; False where it is not of the form that it should be."""
        operator, given = _STANDS_FOR[node.op_type], list(node.input)
        own = {a.name: a for a in node.attribute}
        if operator == "Concat":
            result, bias, rest = given[:2], "", given[2:]
            groups = [rest[i : i + 3] for i in range(0, len(rest), 3)]
        else:
            n = 2 if operator in _OF_TWO else 1
            groups, rest = [given[3 * i : 3 * i + 3] for i in range(n)], given[3 * n :]
            result = rest[1:3] if operator == "Gemm" else rest[:2]
            biases = rest[:1] if operator == "Gemm" else rest[2:3] if operator == "Conv" else []
            bias = next(iter(biases), "")
        last = own.pop("channels_last", None)
        if any(len(group) < 2 or not all(group[:2]) for group in groups) or (last and last.i):
            return False
        if bias:
            scale = self.bias_scale(groups, float(own["alpha"].f) if "alpha" in own else 1.0)
            if scale is None:
                return False
            groups.append([bias, scale])
        by_row = operator == "Conv" or ("transB" in own and own["transB"].i)
        axes = (1, 0 if by_row else -1, 0)
        taken = [self.units(node, group, axes[min(i, 2)]) for i, group in enumerate(groups)]
        raw = f"{node.output[0]}/real" if result and result[0] else node.output[0]
        self.add(node, operator, taken, raw, own.values())
        if raw != node.output[0]:
            self.add(node, "QuantizeLinear", [raw, *result], node.output[0])
        return True

    def units(self, node: Any, group: Sequence[str], axis: int) -> str:
        """The real numbers that integers with a scale and a zero point stand for."""
        name = f"{node.output[0]}/{len(self.nodes)}"
        self.add(node, "DequantizeLinear", filter(None, group), name, axis=axis)
        return name

    def bias_scale(self, groups: Sequence[Sequence[str]], factor: float) -> str | None:
        """The name of the product of the scales of both inputs, in which a bias counts."""
        scales = [self.constants.get(group[1]) for group in groups]
        if any(tensor is None for tensor in scales):
            return None
        x, w = (np.asarray(self.array(tensor), np.float32) for tensor in scales)
        name = f"{groups[0][1]}*{groups[1][1]}*{factor!r}"
        if name not in self.constants:
            from onnx import numpy_helper

            product = np.asarray(np.float32(factor) * x.reshape(()) * w, np.float32)
            tensor = numpy_helper.from_array(product, name)
            self.graph.initializer.append(tensor)
            self.constants[name] = tensor
        return name

    def add(
        self, node: Any, operator: str, taken: Iterable[str], made: str, own: Any = (), **how: Any
    ) -> None:
        from onnx import helper

        name = node.name if operator not in _ALIKE else ""
        new = helper.make_node(operator, list(taken), [made], name=name, **how)
        new.attribute.extend(own)
        self.nodes.append(new)


_OF_TWO = ("Conv", "MatMul", "Add", "Mul", "Gemm")
_STANDS_FOR = {
    **{f"QLinear{name}": name for name in ("Conv", "MatMul", "Add", "Mul", "LeakyRelu")},
    **{f"QLinear{name}": name for name in ("Sigmoid", "GlobalAveragePool", "AveragePool")},
    "QLinearConcat": "Concat",
    "QGemm": "Gemm",
}
