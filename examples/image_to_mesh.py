"""One image to one .blend, without a window.

    blender --background --python examples/image_to_mesh.py -- IMAGE OUT.blend [--faces 5000 ...]
    python examples/image_to_mesh.py IMAGE OUT.blend            (a Python that has the bpy package)

The installed extension does the work; if there is none, the one that this file belongs to, for this run only. The
panel's settings may follow as flags; --help lists them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

try:
    import bpy
except ImportError:
    sys.exit("This script runs in Blender, or in a Python that has the bpy package: pip install bpy.")

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        enable_extension(Path(folder))
        if not bpy.data.filepath:  # no .blend was given before this script: an empty scene instead of the start-up one
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        settings = bpy.context.scene.image_to_mesh
        flags = flags_of(settings).parse_args(arguments)
        if not flags.image.is_file():
            raise RuntimeError(f"The image {flags.image} does not exist.")
        out = flags.out.expanduser().absolute()
        if out.exists() and not flags.force and str(out) != bpy.data.filepath:
            raise RuntimeError(f"{out} exists: choose another name, or replace it with --force.")
        if not out.parent.is_dir():
            raise RuntimeError(f"There is no folder {out.parent}: create it first, or choose another.")
        for name, value in vars(flags).items():
            if name in settings.bl_rna.properties and name != "image" and value is not None:
                choose(settings, name, value)
        image = settings.image = bpy.data.images.load(str(flags.image.expanduser().absolute()))
        bpy.ops.image_to_mesh.generate()
        bpy.data.images.remove(image)
        bpy.ops.wm.save_as_mainfile(filepath=str(out))


def flags_of(settings) -> argparse.ArgumentParser:
    """IMAGE, OUT.blend, and a flag for each of the panel's settings."""
    parser = argparse.ArgumentParser(prog="image_to_mesh.py")
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("out", type=Path, metavar="OUT.blend")
    parser.add_argument("--force", action="store_true", help="replace OUT.blend where it exists")
    kinds = {"INT": int, "FLOAT": float, "STRING": str, "ENUM": str}
    for option in settings.bl_rna.properties:
        flag, description = f"--{option.identifier.replace('_', '-')}", option.description.replace("%", "%%")
        if option.type == "BOOLEAN" and not option.identifier.startswith("set_"):
            parser.add_argument(flag, action="store_true", default=None, help=description)
        if option.type in kinds and option.identifier not in ("name", "prompt"):
            choices = [item.identifier for item in option.enum_items] if option.type == "ENUM" else None
            parser.add_argument(flag, type=kinds[option.type], choices=choices, help=description)
    return parser


def choose(settings, name: str, value) -> None:
    """Set one setting, and for one that may be left open also that it is set."""
    option = settings.bl_rna.properties[name]
    if option.type in {"INT", "FLOAT"} and not option.hard_min <= value <= option.hard_max:
        raise RuntimeError(f"{option.name} must be between {option.hard_min} and {option.hard_max}, but is {value}.")
    setattr(settings, name, value)
    if f"set_{name}" in settings.bl_rna.properties:
        setattr(settings, f"set_{name}", True)


def enable_extension(folder: Path) -> None:
    """Enable this checkout from a temporary repository in ``folder``, unless the extension is enabled already."""
    if hasattr(bpy.types, "IMAGE_TO_MESH_OT_generate"):
        return
    try:
        (folder / "image_to_mesh").symlink_to(ROOT, target_is_directory=True)
    except OSError:  # Windows without the permission to create links
        shutil.copytree(
            ROOT, folder / "image_to_mesh", ignore=shutil.ignore_patterns(".*", "dist", "tests", "training")
        )
    repositories = bpy.context.preferences.extensions.repos
    repositories.new(name="Image to Mesh", module="image_to_mesh_checkout", custom_directory=str(folder))
    bpy.ops.preferences.addon_enable(module="bl_ext.image_to_mesh_checkout.image_to_mesh")


if __name__ == "__main__":
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    status = 0
    try:
        main(given)
    except RuntimeError as error:
        print(str(error).strip().removeprefix("Error: "), file=sys.stderr)
        status = 1
    except SystemExit as end:  # argparse has said why
        status = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    if not bpy.app.binary_path:
        os._exit(status)  # the bpy package may hang or crash when Python itself ends
    sys.exit(status)
