"""Lowering of ONNX activation functions."""

from __future__ import annotations

from neurodeploy.frontends.lowering import Ref
from neurodeploy.frontends.onnx_arithmetic import scaled
from neurodeploy.frontends.onnx_lowering import OnnxSite, lowers_onnx
from neurodeploy.ir.analog import Clip, ReLU, Softmax
from neurodeploy.ir.arrays import AnyArray


@lowers_onnx("Relu")
def _lower_relu(site: OnnxSite) -> Ref:
    return site.emit(ReLU(), site.data())


@lowers_onnx("Clip")
def _lower_clip(site: OnnxSite) -> Ref:
    low = _bound(site, site.optional(1), "min")
    high = _bound(site, site.optional(2), "max")
    if low != 0 or (high is not None and high <= 0):
        site.refuse(f"clipping to [{low}, {high}], expected a lower bound of 0")
    unbounded = high is None or high > 1e30
    return site.emit(ReLU() if unbounded or high is None else Clip(high), site.data())


def _bound(site: OnnxSite, given: AnyArray | None, attribute: str) -> float | None:
    if given is not None:
        return float(given.reshape(()))
    value = site.get(attribute, None)
    return None if value is None else float(value)


@lowers_onnx("Mul")
def _lower_mul(site: OnnxSite) -> Ref:
    a, b = site.values[:2]
    if isinstance(a, Ref) and isinstance(b, Ref):
        site.refuse("product of two activations")
    return scaled(
        site, site.data(0 if isinstance(a, Ref) else 1), site.array(int(isinstance(a, Ref)))
    )


@lowers_onnx("Softmax", "LogSoftmax")
def _lower_softmax(site: OnnxSite) -> Ref:
    x = site.data()
    axis = site.get("axis", -1 if site.opset >= 13 else 1) % (len(x.shape) + 1)
    # Before opset 13 everything from the axis on is one dimension.
    if axis != 1 or (site.opset < 13 and len(x.shape) > 1):
        site.refuse(f"softmax over axis {axis} of {len(x.shape) + 1}, expected the channels (1)")
    return site.emit(Softmax(site.operator == "LogSoftmax"), x)
