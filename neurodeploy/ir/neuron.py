"""What real-valued and integer neurons share: their fields, and which of them go together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from neurodeploy.errors import NetlistError
from neurodeploy.ir.arrays import AnyArray, frozen, whole
from neurodeploy.ir.fixed_point import DECAY_ONE
from neurodeploy.ir.pools import each_step, step_gains

_Whole = TypeVar("_Whole", int, AnyArray)

Reset = Literal["subtract", "zero", "none", "value", "subtract-next"]
RESETS: tuple[Reset, ...] = ("subtract", "zero", "none", "value", "subtract-next")
PayloadCode = Literal["integer", "power_of_two"]
PAYLOAD_CODES: tuple[PayloadCode, ...] = ("integer", "power_of_two")
# Of thresholds, biases and initial membranes, also times the gain of a step, and of payloads. 20
# bits above every state of quantized netlists, and low enough that 64 bits hold what a decay
# multiplies by 2^12. Bounds are proved up to here (:data:`neurodeploy.ir.bounds.PROVABLE`).
MAX_QUANTITY = 2**44
# Sixteen thresholds: times the largest of them, 64 bits hold it.
MAX_COMPARISON = 16 * DECAY_ONE
MAX_REFRACTORY = 2**20


def _quantity(value: Any, name: str, kind: str) -> AnyArray:
    array = np.asarray(value)
    if kind == "i":
        if array.dtype.kind not in "iu":
            raise NetlistError(f"{name} of dtype {array.dtype}; an integer neuron needs integers")
        if max(int(array.max(initial=0)), -int(array.min(initial=0))) > MAX_QUANTITY:
            raise NetlistError(f"{name} exceeds {MAX_QUANTITY} in magnitude")
        return frozen(array, np.int64)
    if array.dtype.kind not in "iuf":
        raise NetlistError(f"{name} of dtype {array.dtype}; a real-valued neuron needs floats")
    array = frozen(array, np.float64)
    if not np.isfinite(array).all():
        raise NetlistError(f"{name} is not finite")
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Neuron:
    """Fields shared by both neuron types; quantities are scalar, per channel or per neuron.

    Symbols are those of :mod:`neurodeploy.ir.neurons`.

    Parameters
    ----------
    threshold : array or None
        ``theta_pos``. None: the population integrates and never fires.
    bias, initial_membrane : array
        ``b`` (added in every step of the window) and ``v0``.
    negative_threshold : array or None
        ``theta_neg`` of signed neurons; None: unsigned.
    reset : {"subtract", "zero", "none", "value", "subtract-next"}
        ``value``: to ``reset_value``. ``subtract-next``: one step later, after the leak.
    payload_max : int
        Largest magnitude of one spike; 1: binary.
    payload_code : {"integer", "power_of_two"}
        Which magnitudes a spike can have.
    memory : bool
        Whether negative spikes only take back what was emitted. Needs ``negative_threshold``, from
        which on it happens, and soft reset.
    input_gain, firing_gain : tuple of int
        g and h of every step of the window, at least 0; empty: 1. Need soft reset (or no
        threshold), no leak and no current memory; an integrator has no ``firing_gain``.
    comparison : tuple of int
        c of every step, 1 to 2^16 in 1/4096 of the thresholds; empty: all of them. Needs
        ``firing_gain`` and binary spikes.
    reset_value : array or None
        ``v_reset`` of reset ``value``, below the threshold (above the negative one).
    floor : array or None
        ``v_min``, applied after the reset; at most v0 and v_reset. None: no floor.
    saturation : number or None
        ``S``: the membrane is clipped to [-S, S] before it is compared. None: it never is.
    refractory : int
        ``r``: steps after a spike in which the membrane stays and what arrives is lost.

    Notes
    -----
    Decays, and what follows the gains here, go with neither memory nor gains.
    """

    threshold: AnyArray | None
    bias: AnyArray
    initial_membrane: AnyArray
    negative_threshold: AnyArray | None = None
    reset: Reset = "subtract"
    payload_max: int = 1
    payload_code: PayloadCode = field(default="integer", kw_only=True)
    memory: bool = field(default=False, kw_only=True)
    input_gain: tuple[int, ...] = field(default=(), kw_only=True)
    firing_gain: tuple[int, ...] = field(default=(), kw_only=True)
    comparison: tuple[int, ...] = field(default=(), kw_only=True)
    reset_value: AnyArray | None = field(default=None, kw_only=True)
    floor: AnyArray | None = field(default=None, kw_only=True)
    saturation: float | None = field(default=None, kw_only=True)
    refractory: int = field(default=0, kw_only=True)

    number_kind: ClassVar[str] = "f"
    whole_decay: ClassVar[float] = 1.0
    """The decay that leaves nothing."""
    decays: ClassVar[tuple[str, ...]] = ("current_decay", "membrane_decay")

    def __post_init__(self) -> None:
        for name in ("bias", "initial_membrane"):
            if getattr(self, name) is None:
                raise NetlistError(f"{name} None; a number, or one for each channel or neuron")
        for name in self.quantities():
            value = _quantity(getattr(self, name), name, self.number_kind)
            object.__setattr__(self, name, value)
        if self.reset not in RESETS:
            raise NetlistError(f"reset {self.reset!r}; expected one of {', '.join(RESETS)}")
        object.__setattr__(self, "payload_max", whole(self.payload_max, "payload_max"))
        if not 1 <= self.payload_max <= MAX_QUANTITY:
            raise NetlistError(f"payload_max {self.payload_max}; expected 1 to {MAX_QUANTITY}")
        if self.threshold is None and (self.negative_threshold is not None or self.payload_max > 1):
            raise NetlistError("a population without threshold cannot be signed or graded")
        if self.payload_code not in PAYLOAD_CODES:
            raise NetlistError(
                f"payload_code {self.payload_code!r}; expected one of {', '.join(PAYLOAD_CODES)}"
            )
        if self.payload_code == "power_of_two" and self.payload_max & (self.payload_max - 1):
            raise NetlistError(f"payload_max {self.payload_max} is no power of two")
        if not isinstance(self.memory, bool):
            raise NetlistError(f"memory {self.memory!r}; expected true or false")
        if self.memory and (self.negative_threshold is None or self.reset != "subtract"):
            raise NetlistError("memory needs a negative_threshold and reset 'subtract'")
        for name in ("threshold", "negative_threshold"):
            value = getattr(self, name)
            if value is not None and not (value >= self.smallest_threshold()).all():
                raise NetlistError(
                    f"{name} {value.min()} is below the smallest legal {self.smallest_threshold()}"
                )
        self._verify_decays()
        self._verify_gains()
        self._verify_native()

    def _verify_decays(self) -> None:
        one = self.whole_decay
        for name in self.decays:
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and value.ndim:
                number = np.int64 if self.number_kind == "i" else np.float64
                if self.number_kind == "i" and value.dtype.kind not in "iu":
                    raise NetlistError(f"{name} of dtype {value.dtype}; expected whole numbers")
                value = frozen(value, number)
            elif self.number_kind == "i":
                value = whole(value.item() if isinstance(value, np.ndarray) else value, name)
            else:
                value = float(value)
            object.__setattr__(self, name, value)
            outside = [x for x in (np.min(value, initial=0), np.max(value)) if not 0 <= x <= one]
            if outside:
                raise NetlistError(f"{name} {outside[0]} is outside 0..{one:g}")

    def _verify_native(self) -> None:
        """Check the fields of neurons of natively trained networks."""
        object.__setattr__(self, "refractory", whole(self.refractory, "refractory"))
        if not 0 <= self.refractory <= MAX_REFRACTORY:
            raise NetlistError(f"refractory {self.refractory}; expected 0 to {MAX_REFRACTORY}")
        if (self.reset == "value") != (self.reset_value is not None):
            raise NetlistError("reset 'value' and a reset_value belong together")
        if self.saturation is not None:
            self._verify_saturation()
        if self.extensions and (self.memory or self.has_gains):
            raise NetlistError(f"memory and gains do not go with {self.extensions[0]}")
        if not self.fires and (self.refractory or self.reset_value is not None):
            raise NetlistError("a population without threshold has no refractory period or reset")
        for name in ("initial_membrane", "reset_value"):
            _ordered("floor", self.floor, name, getattr(self, name), strictly=False)
        _ordered("reset_value", self.reset_value, "threshold", self.threshold, strictly=True)
        least = None if self.negative_threshold is None else -self.negative_threshold
        for name in ("floor", "reset_value"):
            _ordered("-negative_threshold", least, name, getattr(self, name), strictly=True)

    def _verify_saturation(self) -> None:
        if self.number_kind == "i":
            object.__setattr__(self, "saturation", whole(self.saturation, "saturation"))
        else:
            object.__setattr__(self, "saturation", float(self.saturation or 0.0))
        assert self.saturation is not None
        if not 0 < self.saturation <= MAX_QUANTITY:
            raise NetlistError(f"saturation {self.saturation}; expected above 0 to {MAX_QUANTITY}")
        for name in ("initial_membrane", "reset_value", "floor"):
            value = getattr(self, name)
            if value is not None and np.abs(value).max(initial=0) > self.saturation:
                raise NetlistError(f"{name} beyond the saturation {self.saturation}")

    def _verify_gains(self) -> None:
        for name in ("input_gain", "firing_gain"):
            object.__setattr__(self, name, step_gains(name, getattr(self, name)))
        if self.input_gain and self.firing_gain and len(self.input_gain) != len(self.firing_gain):
            raise NetlistError(
                f"{len(self.input_gain)} gains of input and {len(self.firing_gain)} of firing"
            )
        if self.firing_gain and self.threshold is None:
            raise NetlistError("an integrator has no firing_gain")
        if self.firing_gain and not any(self.firing_gain):
            raise NetlistError("firing_gain 0 in every step: it would never fire")
        if self.has_gains and self.fires and self.reset != "subtract":
            raise NetlistError(f"gains need reset 'subtract', not {self.reset!r}")
        if self.has_gains and (self.leaks or self.has_current_memory):
            raise NetlistError("gains allow neither leak nor current memory")
        if self.comparison:
            self._verify_comparison()

    def _verify_comparison(self) -> None:
        given = each_step(self.comparison, "comparison")
        shares = tuple(whole(c, "comparison of a step") for c in given)
        object.__setattr__(self, "comparison", shares)
        if not 1 <= min(shares) <= max(shares) <= MAX_COMPARISON:
            raise NetlistError(f"comparison outside 1..{MAX_COMPARISON}")
        if len(shares) != len(self.firing_gain):
            raise NetlistError(
                f"comparison for {len(shares)} steps and firing_gain for {len(self.firing_gain)}"
            )
        if self.payload_max > 1:
            raise NetlistError(
                f"comparison needs binary spikes, not payloads of {self.payload_max}"
            )

    @property
    def leaks(self) -> bool:
        """Whether the membrane loses a part of itself in every step, anywhere."""
        return bool(np.any(self._decay("membrane_decay") != 0))

    @property
    def has_current_memory(self) -> bool:
        """Whether the current lasts longer than a step, anywhere."""
        return bool(np.any(self._decay("current_decay") != self.whole_decay))

    def _decay(self, name: str) -> Any:
        return getattr(self, name)

    @property
    def extensions(self) -> tuple[str, ...]:
        """Names of the features of natively trained networks that it uses, for refusals."""
        found = {
            "a decay per neuron": any(np.ndim(self._decay(name)) for name in self.decays),
            f"reset {self.reset!r}": self.reset in ("value", "subtract-next"),
            "a floor": self.floor is not None,
            "saturation": self.saturation is not None,
            "a refractory period": self.refractory > 0,
            "a strict comparison": getattr(self, "strict", False),
        }
        return tuple(name for name, has in found.items() if has)

    @property
    def has_gains(self) -> bool:
        """Whether steps count differently."""
        return bool(self.input_gain or self.firing_gain)

    @property
    def n_gains(self) -> int:
        """Steps that gains are given for; 0: any number."""
        return len(self.input_gain or self.firing_gain)

    def gains(self, t: int) -> tuple[int, int]:
        """G and h of step ``t`` of the window."""
        return (
            self.input_gain[t] if self.input_gain else 1,
            self.firing_gain[t] if self.firing_gain else 1,
        )

    def level(self, theta: AnyArray, t: int) -> AnyArray:
        """What a membrane is compared with in step ``t``, of a threshold times its gain."""
        if not self.comparison or self.comparison[t] == DECAY_ONE:
            return theta
        share = self.comparison[t]
        if self.number_kind == "i":
            return np.asarray(-(-theta * share // DECAY_ONE))
        return np.asarray(theta * (share / DECAY_ONE))

    @property
    def highest_level(self) -> int:
        """The largest comparison with a threshold times its gain, in 1/4096 of the threshold."""
        gains = self.firing_gain or (1,)
        shares = self.comparison or (DECAY_ONE,) * len(gains)
        return max(gain * max(share, DECAY_ONE) for gain, share in zip(gains, shares, strict=True))

    def highest(self, theta: _Whole) -> _Whole:
        """The most that a membrane is compared with in a step, of a threshold: rounded up."""
        return -(-theta * self.highest_level // DECAY_ONE)

    @property
    def lag(self) -> int:
        """Steps at the beginning of the window in which it cannot fire."""
        return next((t for t, h in enumerate(self.firing_gain) if h), 0)

    @classmethod
    def smallest_threshold(cls) -> float:
        """The smallest legal threshold."""
        return 1 if cls.number_kind == "i" else math.ulp(0.0)

    def quantities(self) -> list[str]:
        """Names of the array fields that are set."""
        names = [
            *("threshold", "bias", "initial_membrane", "negative_threshold"),
            *("reset_value", "floor"),
        ]
        return [n for n in names if getattr(self, n) is not None]

    def spread_names(self) -> list[str]:
        """Names of everything that may be a scalar, per channel or per neuron."""
        return [*self.quantities(), *(n for n in self.decays if np.ndim(self._decay(n)))]

    @property
    def fires(self) -> bool:
        """Whether the population emits spikes."""
        return self.threshold is not None

    @property
    def signed(self) -> bool:
        """Whether the population emits negative spikes too."""
        return self.negative_threshold is not None

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        for name in self.__dataclass_fields__:
            a, b = getattr(self, name), getattr(other, name)
            either = isinstance(a, np.ndarray) or isinstance(b, np.ndarray)
            same = np.array_equal(a, b) if either and a is not None and b is not None else a is b
            if not (same or (not either and a == b)):
                return False
        return True

    __hash__ = None  # type: ignore[assignment]


def _ordered(low: str, least: Any, high: str, most: Any, *, strictly: bool) -> None:
    """Refuse ``least`` above (or at) ``most``, each scalar, per channel, per neuron or None."""
    if least is None or most is None:
        return
    a, b = _aligned(least, most)
    wrong = a >= b if strictly else a > b
    if wrong.any():
        at = np.argwhere(np.atleast_1d(wrong))[0]
        one, other = (np.broadcast_to(np.atleast_1d(x), np.atleast_1d(wrong).shape) for x in (a, b))
        relation = "not below" if strictly else "above"
        raise NetlistError(f"{low} {one[tuple(at)]} is {relation} {high} {other[tuple(at)]}")


def _aligned(a: AnyArray, b: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Both with the channel first: a value per channel belongs to all neurons of the channel."""
    if a.ndim and b.ndim:
        rank = max(a.ndim, b.ndim)
        a, b = (x.reshape(x.shape + (1,) * (rank - x.ndim)) for x in (a, b))
    return a, b
