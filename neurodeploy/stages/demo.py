"""Train, convert, quantize, compile for every target, verify, and price: in one go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.datasets import Samples, load_dataset
from neurodeploy.errors import TargetUnavailableError
from neurodeploy.network import Network
from neurodeploy.stages.compile import compile
from neurodeploy.stages.convert import convert
from neurodeploy.stages.estimate_energy import estimate_energy
from neurodeploy.stages.evaluate import evaluate
from neurodeploy.stages.quantize import quantize
from neurodeploy.stages.save import save
from neurodeploy.stages.verify import verify
from neurodeploy.targets.registry import TARGETS

if TYPE_CHECKING:
    from torch import nn

TIMESTEPS = 32
VERIFIED_SAMPLES = 10
PRICED_SAMPLES = 50
NEUROCORES = "loihi1"
"""The board of neurocores that is priced; of crossbars, the default of the target that has them."""
STATE_BITS = 18
"""State width of the neurocores, on which a netlist fitted to a crossbar is priced too."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """One netlist of the demonstration and where it goes; crossbars take binary spikes alone."""

    name: str
    input: str
    decode: str
    weight_bits: int
    crossbar: bool

    @property
    def targets(self) -> list[str]:
        """Those that come with neurodeploy and run it, not quantized for one of them alone."""
        kinds = {
            name: TARGETS.get(name).board_kind
            for name in TARGETS.built_in
            if not TARGETS.get(name).quantization
        }
        return [name for name, kind in kinds.items() if self.crossbar or kind != "crossbar"]

    @property
    def crossbars(self) -> list[str]:
        """Default boards of those of the targets that run crossbars."""
        targets = [TARGETS.get(name) for name in self.targets]
        return [t.default_board for t in targets if t.board_kind == "crossbar" and t.default_board]


VARIANTS = (
    Variant("spikes-3bit", "spikes", "counts", 3, crossbar=True),
    Variant("current-8bit", "current", "membrane", 8, crossbar=False),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Results of one variant.

    ``mismatches`` by target, None where its software is missing; ``energy`` by board.
    """

    variant: Variant
    source_accuracy: float | None
    real_accuracy: float | None
    integer_accuracy: float | None
    mismatches: dict[str, int | None]
    compared: dict[str, int]
    energy: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "variant": self.variant.name,
            "input": self.variant.input,
            "decode": self.variant.decode,
            "weight_bits": self.variant.weight_bits,
            "timesteps": TIMESTEPS,
            "accuracy": {
                "source": self.source_accuracy,
                "real": self.real_accuracy,
                "integer": self.integer_accuracy,
            },
            "mismatches": self.mismatches,
            "compared_neuron_steps": self.compared,
            "energy": {
                board: {k: v for k, v in report.items() if not k.endswith("_detail")}
                for board, report in self.energy.items()
            },
        }

    @property
    def exact(self) -> bool:
        """Whether every target that could run computed the same spikes, and some were compared."""
        ran = [name for name, count in self.mismatches.items() if count is not None]
        return all(self.mismatches[n] == 0 and self.compared[n] > 0 for n in ran)


def demonstrate(folder: Path, tell: Tell) -> list[Outcome]:
    """Run the demonstration.

    Parameters
    ----------
    folder : Path
        Where netlists and deployments go; it may exist.
    tell : callable
        Told one line per step.

    Raises
    ------
    TargetUnavailableError
        If PyTorch or scikit-learn is missing.
    """
    _expect_packages()
    from neurodeploy.stages.demo_network import train

    folder.mkdir(parents=True, exist_ok=True)
    training = load_dataset("digits", "train")
    tell(f"training a convolutional network on {len(training)} digits")
    network = train(training)
    return [_outcome(variant, network, training, folder, tell) for variant in VARIANTS]


def _expect_packages() -> None:
    missing = [name for name in ("torch", "sklearn") if find_spec(name) is None]
    if missing:
        raise TargetUnavailableError(
            f"demo needs {' and '.join(missing)}, not installed in this environment; "
            "pip install 'neurodeploy[torch,digits]', or run 'make demo' in the source tree"
        )


def _outcome(
    variant: Variant, network: nn.Module, training: Samples, folder: Path, tell: Tell
) -> Outcome:
    tell(
        f"{variant.name}: converting (T = {TIMESTEPS}, {variant.input} input, {variant.decode} "
        f"decoding) and quantizing to {variant.weight_bits} bits"
    )
    real = convert(
        network,
        training,
        method="rate",
        timesteps=TIMESTEPS,
        input=variant.input,
        decode=variant.decode,
        name="digits",
    )
    fit = next(iter(variant.crossbars), NEUROCORES)
    integer = quantize(real, variant.weight_bits, fit=fit, state_bits=STATE_BITS)
    save(real, folder / f"{variant.name}.real.ndn")
    save(integer, folder / f"{variant.name}.ndn")
    tell(f"{variant.name}: evaluating on the test split")
    float_result = evaluate(real, "digits")
    integer_result = evaluate(integer, "digits")
    mismatches: dict[str, int | None] = {}
    compared: dict[str, int] = {}
    for name in variant.targets:
        mismatches[name], compared[name] = _verify(variant, integer, name, folder, tell)
    energy = {}
    for board in (NEUROCORES, *variant.crossbars):
        tell(f"{variant.name}: energy on {board}, from the spikes of {PRICED_SAMPLES} samples")
        report = estimate_energy(integer, board, "digits", PRICED_SAMPLES)
        energy[board] = report.to_dict()
    return Outcome(
        variant,
        float_result.source_accuracy,
        float_result.accuracy,
        integer_result.accuracy,
        mismatches,
        compared,
        energy,
    )


def _verify(
    variant: Variant, net: Network, name: str, folder: Path, tell: Tell
) -> tuple[int | None, int]:
    reason = TARGETS.get(name).unavailable()
    if reason is not None:
        tell(f"{variant.name}: {name} left out: {reason}")
        return None, 0
    tell(f"{variant.name}: compiling for {name}, verifying against reference and engine")
    deployment = compile(net, name)
    path = folder / f"{variant.name}.{name}"
    save(deployment, path)
    # From the files, as a user would: what is verified is what was written.
    result = verify(path, ("reference", "engine"), "digits", VERIFIED_SAMPLES)
    differences = sum(sum(per.values()) for per in result.mismatches.values())
    if result.first is not None:
        tell(f"{variant.name}: {result.first}")
    return differences, sum(result.compared_neuron_steps.values())
