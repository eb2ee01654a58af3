"""Lowering of pooling and of means and sums over spatial dimensions."""

from __future__ import annotations

from typing import Any

from neurodeploy.source.analog import AvgPool, MaxPool, Reshape
from neurodeploy.source.lowering import Ref, Site, Unconverted, lowers


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * rank if len(values) == 1 else values


def _rank(site: Site) -> int:
    return 1 if "pool1d" in site.operator else 2


@lowers("avg_pool1d", "avg_pool2d", label="average pooling")
def _lower_avg_pool(
    site: Site,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Ref:
    rank = _rank(site)
    op = AvgPool(
        _sizes(kernel_size, rank),
        _sizes(stride or kernel_size, rank),
        _sizes(padding, rank),
        ceil_mode,
        count_include_pad,
        divisor_override,
    )
    return site.emit(op, site.data(x))


@lowers("max_pool1d", "max_pool2d", label="max-pooling")
def _lower_max_pool(
    site: Site,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> Ref:
    rank = _rank(site)
    op = MaxPool(
        _sizes(kernel_size, rank),
        _sizes(stride or kernel_size, rank),
        _sizes(padding, rank),
        ceil_mode,
        _sizes(dilation, rank),
    )
    return site.emit(op, site.data(x))


@lowers("max_pool1d_with_indices", "max_pool2d_with_indices")
def _lower_max_pool_with_indices(site: Site, **arguments: Any) -> tuple[Ref | Unconverted, ...]:
    return _lower_max_pool(site, **arguments), Unconverted("the indices of max-pooling")


def _adaptive_kernel(site: Site, x: Ref, output_size: Any) -> tuple[int, ...]:
    sizes, outs = x.shape[1:], _sizes(output_size, _rank(site))
    if len(sizes) != len(outs):
        site.refuse(f"adaptive pooling of an input of shape {x.shape}")
    if any(n % out for n, out in zip(sizes, outs, strict=True)):
        site.refuse(
            f"adaptive pooling from {sizes} to {outs}: the windows differ in size, expected"
            " outputs that divide the input"
        )
    return tuple(n // out for n, out in zip(sizes, outs, strict=True))


@lowers("adaptive_avg_pool1d", "adaptive_avg_pool2d", label="adaptive pooling")
def _lower_adaptive_avg_pool(site: Site, x: Any, output_size: Any) -> Ref:
    kernel = _adaptive_kernel(site, site.data(x), output_size)
    return site.emit(AvgPool(kernel, kernel), x)


@lowers("adaptive_max_pool1d", "adaptive_max_pool2d")
def _lower_adaptive_max_pool(site: Site, x: Any, output_size: Any) -> tuple[Ref | Unconverted, ...]:
    kernel = _adaptive_kernel(site, site.data(x), output_size)
    return site.emit(MaxPool(kernel, kernel), x), Unconverted("the indices of max-pooling")


@lowers("mean", label="mean/sum")
def _lower_mean(site: Site, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Ref:
    return _reduce(site, site.data(x), dim, None)


@lowers("sum")
def _lower_sum(site: Site, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Ref:
    return _reduce(site, site.data(x), dim, 1)


def _reduce(site: Site, x: Ref, dim: Any, divisor: int | None) -> Ref:
    rank = len(x.shape) + 1
    dims = {d % rank for d in ([dim] if isinstance(dim, int) else dim or range(rank))}
    spatial = x.shape[1:]
    if dims & {0, 1} or len(spatial) not in (1, 2):
        site.refuse(
            f"reduction over dimensions {sorted(dims)} of {rank}, expected spatial dimensions only"
        )
    kernel = tuple(n if i + 2 in dims else 1 for i, n in enumerate(spatial))
    y = site.emit(AvgPool(kernel, kernel, divisor=divisor), x)
    return y if y.shape == site.shape[1:] else site.emit(Reshape(site.shape[1:]), y)
