"""Run one target for long: ``python -m tests.fuzz picture --cases 100000 --seed 1``. Ends at the first failure."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import TARGETS, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-fuzz-") as folder:
        refused = run(flags.target, flags.cases, flags.seed, Path(folder))
    seconds = time.monotonic() - started
    print(f"{flags.target}: {flags.cases} cases, seed {flags.seed}: {refused} refused in a sentence, {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
