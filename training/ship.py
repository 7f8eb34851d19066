"""Put trained weights, stored as int8, where the extension ships them: ``backend/weights/starter``.

    python -m training.ship --views OUT --vae DIR --surface OUT

What is not named stays as it is. Views keep the plan that they were trained for, and a checkpoint of a surface network
is only shipped beside views of its plan.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from backend.paths import STARTER_WEIGHTS
from backend.views.zero123.model import Zero123
from training import surface_model, view_model
from training.checkpoint import has_checkpoint
from training.generated_views import view_plan_of
from training.joint_model import load_joint_model
from training.model_config import interpolate
from training.vae_model import load_vae

LIMIT = 26 * 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=Path, help="checkpoint of training.joint_views")
    parser.add_argument("--vae", type=Path, help="folder of training.vae")
    parser.add_argument("--surface", help="checkpoint of training.surface, or folder of weights")
    for name in ("views", "surface"):
        parser.add_argument(
            f"--{name}-share",
            type=float,
            default=1.0,
            help="how far to go from the shipped weights to the new ones, 0..1 (default: 1)",
        )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        shutil.copytree(STARTER_WEIGHTS, place, dirs_exist_ok=True)
        plan = view_plan_of(args.views or place / "view")
        if args.views:
            model = load_joint_model(args.views)
            if args.views_share < 1:
                interpolate(model, Zero123.load(place / "view"), args.views_share)
            view_model.save(model, place / "view", plan, quantize=True, parts=set(view_model.PARTS) - {"vae"})
        if args.vae:
            model = Zero123.load(place / "view")
            model.vae = load_vae(args.vae)
            view_model.save(model, place / "view", plan, quantize=True, parts={"vae"})
        if args.surface:
            network = surface_model.load_network(args.surface)
            if has_checkpoint(Path(args.surface)) and (trained_for := view_plan_of(args.surface)) != plan:
                raise SystemExit(
                    f"The surface network was trained for the plan “{trained_for}”, the views for “{plan}”: ship views "
                    "of its plan with it (--views), or train it for theirs (view_plan); nothing was shipped."
                )
            if args.surface_share < 1:
                interpolate(network, surface_model.load_network("starter"), args.surface_share)
            surface_model.save(network, place / "surface", quantize=True)
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        if size > LIMIT:
            raise SystemExit(
                f"These weights take {size / 2**20:.2f} MiB, {LIMIT >> 20} are allowed: nothing was shipped."
            )
        shutil.copytree(place, STARTER_WEIGHTS, dirs_exist_ok=True)
    print(f"{STARTER_WEIGHTS}: {size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
