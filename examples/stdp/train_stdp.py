"""Train a winner-take-all network by STDP, and write it as a real-valued netlist.

::

    python examples/stdp/train_stdp.py --mnist FOLDER --neurons 400 --images 60000 -o stdp.ndn

Without ``--mnist`` it learns the small digits that scikit-learn carries. Labels are used for one
thing only: when the neurons have learned, each is assigned to the classes that it fires for.

With ``--crossbar`` the network fits one crossbar core beside its read-out: images of half the side,
weights of 0 and 1, and no leak.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from plasticity import Competitors, Learning, Rule
from stdp_samples import images
from winner_take_all import network

import neurodeploy as nd
from neurodeploy.api import expect_writable

REPORTS = 10
"""How often progress is told."""

CROSSBAR_AXONS = 256

USUAL_PIXELS = 28 * 28
"""Of the images that the constants are meant for."""

BINARY = Rule(
    timesteps=64,
    rate=0.25,
    leak_steps=None,
    inhibition=32.0,
    floor=None,
    threshold_step=0.2,
)
KEPT_WEIGHT = 0.2
"""Weights from here on become 1, others 0."""


@dataclass(slots=True)
class Lesson:
    """Images in the order in which they are shown.

    Parameters
    ----------
    x : float32 array ``[N, pixels]``
    y : int array ``[N]``
    rng : numpy Generator
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]
    rng: np.random.Generator

    def give(
        self, competitors: Competitors, shown: int, learning: Learning
    ) -> npt.NDArray[np.float64]:
        """Show so many images; spikes of each neuron for each class ``[classes, N]``."""
        rounds = -(-shown // len(self.x))
        order = np.concatenate([self.rng.permutation(len(self.x)) for _ in range(rounds)])[:shown]
        heard = np.zeros((int(self.y.max()) + 1, len(competitors.weight)))
        started = time.perf_counter()
        for done, i in enumerate(order, 1):
            heard[self.y[i]] += competitors.show(self.x[i], self.rng, learning)
            if done * REPORTS // shown > (done - 1) * REPORTS // shown:
                left = (time.perf_counter() - started) * (shown - done) / done
                told = f"learning {learning}: {done} of {shown} images"
                print(
                    f"{told}, {heard.sum() / done:.1f} spikes each, {left:.0f} s left",
                    file=sys.stderr,
                )
        return heard


def rule_for(pixels: int) -> Rule:
    """Constants for images of so many pixels: fewer fire more often, and are forgotten sooner."""
    usual = Rule()
    more = (USUAL_PIXELS / pixels) ** 0.5
    return replace(usual, rate=usual.rate * more, trace_steps=usual.trace_steps / more)


def shares(heard: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What share of its spikes each neuron fires for each class, ``[classes, N]``."""
    return heard / np.maximum(heard.sum(axis=0), 1)


def assigned(heard: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 for the class that each neuron fires for most, ``[classes, N]``."""
    return (np.arange(len(heard))[:, None] == heard.argmax(axis=0)).astype(np.float64)


def binary(learned: Competitors) -> Competitors:
    """Neurons of weights 0 and 1 without leak, their thresholds still to be learned."""
    rule = learned.rule
    assert rule.leak_steps is not None
    weight = (learned.weight >= KEPT_WEIGHT).astype(np.float32)
    # As many of their spikes as a leaky membrane holds, less a third: thresholds only rise.
    heard = BINARY.timesteps * BINARY.rate / (rule.leak_steps * rule.rate)
    more = weight.sum(axis=1) / learned.weight.sum(axis=1)
    threshold = 2 / 3 * heard * more * learned.threshold
    return Competitors(BINARY, weight, np.maximum(threshold, 1).astype(np.float32))


def trained(
    data: nd.Samples, neurons: int, shown: int, judged: int, seed: int, *, crossbar: bool
) -> nd.Network:
    """Train on so many images, and assign the neurons by so many more."""
    assert data.y is not None
    rng = np.random.default_rng(seed)
    lesson = Lesson(data.x.reshape(len(data.x), -1), data.y, rng)
    pixels = lesson.x.shape[1]
    found = Competitors.drawn(rule_for(pixels), neurons, pixels, rng)
    lesson.give(found, shown, "weights")
    if crossbar:
        found = binary(found)
        lesson.give(found, judged, "thresholds")
        found = replace(found, threshold=np.rint(found.threshold))
    heard = lesson.give(found, judged, "nothing")
    readout = assigned(heard) if crossbar else shares(heard)
    shape = data.sample_shape
    net = network(found.rule, found.weight, found.threshold, readout, shape, counts=crossbar)
    record = {"data": data.name, "seed": seed, "images": shown, "rule": asdict(found.rule)}
    return replace(net, provenance={"neurodeploy": nd.__version__, "stdp": record})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help=".ndn file to write")
    parser.add_argument("--mnist", help="folder of MNIST's four files; scikit-learn's digits else")
    parser.add_argument("--neurons", type=int, help="(100; 60 with --crossbar)")
    parser.add_argument("--images", type=int, default=30000, help="to learn from (%(default)s)")
    parser.add_argument(
        "--assign", type=int, default=10000, help="further images for the classes (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crossbar", action="store_true", help="for cores of 256 axons")
    given = parser.parse_args(arguments)
    neurons = given.neurons or (60 if given.crossbar else 100)
    for name in ("neurons", "images", "assign"):
        if (value := getattr(given, name)) is not None and value < 1:
            parser.error(f"--{name} {value}: a whole number above zero is needed")
    if given.seed < 0:
        parser.error(f"--seed {given.seed}: 0 or more is needed")
    started = time.perf_counter()
    try:
        expect_writable(given.output)
        # The small digits have few enough pixels as they are.
        shrink = 2 if given.crossbar and given.mnist is not None else 1
        data = images(given.mnist, "train", shrink)
        axons = int(np.prod(data.sample_shape)) + neurons
        if given.crossbar and axons > CROSSBAR_AXONS:
            parser.error(
                f"--neurons {neurons}: {axons} axons with the pixels, a core has {CROSSBAR_AXONS}"
            )
        net = trained(
            data, neurons, given.images, given.assign, given.seed, crossbar=given.crossbar
        )
        nd.save(net, given.output)
    except nd.NeurodeployError as error:
        sys.exit(f"train_stdp.py: {error}")
    print(f"{given.output}: {neurons} neurons, trained in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
