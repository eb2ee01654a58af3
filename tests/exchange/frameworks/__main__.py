"""Compare cases of one framework: ``FRAMEWORK [--timesteps T] [--samples N] [CASE ...]``."""

from __future__ import annotations

import argparse
import importlib
import json

from tests.exchange.frameworks.comparison import compare, line


def main() -> None:
    """Print one JSON line a case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--timesteps", type=int, default=25)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    cases = importlib.import_module(f"tests.exchange.frameworks.{given.framework}_networks").CASES
    for case in cases:
        if not given.cases or case.name in given.cases:
            found = compare(given.framework, case, given.timesteps, given.samples, given.seed)
            print(json.dumps(line(found)), flush=True)


if __name__ == "__main__":
    main()
