"""Put trained weights, stored as int8, where the extension ships them: ``backend/weights/starter``.

python -m training.ship --views DIR --surface DIR
"""

from __future__ import annotations

import argparse

from backend.surface import load
from backend.weights.store import STARTER
from backend.zero123.model import Zero123
from training import surface_model, view_model

LIMIT = 20 * 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", help="folder that training.views wrote")
    parser.add_argument("--surface", help="folder that training.surface wrote")
    args = parser.parse_args()
    if args.views:
        view_model.save(Zero123.load(args.views), STARTER / "view", quantise=True)
    if args.surface:
        surface_model.save(load(args.surface), STARTER / "surface", quantise=True)
    size = sum(path.stat().st_size for path in STARTER.rglob("*") if path.is_file())
    print(f"{STARTER}: {size / 2**20:.2f} MiB")
    if size > LIMIT:
        raise SystemExit("The starter weights are larger than the 20 MiB they may take.")


if __name__ == "__main__":
    main()
