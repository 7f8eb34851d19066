"""One image to one .blend by the extension's Python function, without a window.

    blender --background --python examples/image_to_mesh.py -- IMAGE OUT.blend [--faces 5000 ...]
    python examples/image_to_mesh.py IMAGE OUT.blend            (a Python that has the bpy package)

The installed extension does the work; if there is none, the one that this file belongs to, for this run only. The
options may follow as flags; --help lists them. Where the extension is installed, the same is built in:
``blender --command image_to_mesh IMAGE --out OUT.blend``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

try:
    import bpy
except ImportError:
    sys.exit("This script runs in Blender, or in a Python that has the bpy package: pip install bpy.")

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        image_to_mesh = enable_extension(Path(folder))
        options = importlib.import_module(f"{image_to_mesh.__name__}.backend.options")
        parser = argparse.ArgumentParser(prog="image_to_mesh.py")
        parser.add_argument("image", metavar="IMAGE")
        parser.add_argument("out", type=Path, metavar="OUT.blend")
        parser.add_argument("--camera", action="store_true", help="add a camera with the viewpoint of the image")
        options.add_flags(parser)
        flags = parser.parse_args(arguments)
        out = flags.out.expanduser().absolute()
        if out.exists():
            raise RuntimeError(f"{out} exists: choose another name.")
        if not bpy.data.filepath:  # no .blend was given before this script: an empty scene instead of the start-up one
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        obj = image_to_mesh.generate(flags.image, camera=flags.camera, **options.from_flags(flags).to_dict())
        bpy.ops.wm.save_as_mainfile(filepath=str(out))
        print(f"{obj.name}: {len(obj.data.polygons)} faces, in {out}")


def enable_extension(folder: Path) -> ModuleType:
    """The extension's package. If it is not enabled, this checkout is, from a temporary repository in ``folder``."""
    if not hasattr(bpy.types, "IMAGE_TO_MESH_OT_generate"):
        try:
            (folder / "image_to_mesh").symlink_to(ROOT, target_is_directory=True)
        except OSError:  # Windows without the permission to create links
            ignore = shutil.ignore_patterns(".*", "dist", "tests", "training")
            shutil.copytree(ROOT, folder / "image_to_mesh", ignore=ignore)
        repositories = bpy.context.preferences.extensions.repos
        repositories.new(name="Image to Mesh", module="image_to_mesh_checkout", custom_directory=str(folder))
        bpy.ops.preferences.addon_enable(module="bl_ext.image_to_mesh_checkout.image_to_mesh")
    # The package's name has that of its repository in it.
    names = bpy.context.preferences.addons.keys()
    name = next(name for name in names if name.endswith(".image_to_mesh"))
    return importlib.import_module(name)


if __name__ == "__main__":
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    status = 0
    try:
        main(given)
    except RuntimeError as error:
        print(str(error).strip().removeprefix("Error: "), file=sys.stderr)
        status = 1
    except SystemExit as end:  # argparse has said why
        status = end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    if not bpy.app.binary_path:
        os._exit(status)  # the bpy package may hang or crash when Python itself ends
    sys.exit(status)
