"""One picture to one .blend, without a window.

    blender --background --python examples/image_to_mesh.py -- PICTURE OUT.blend
    python examples/image_to_mesh.py PICTURE OUT.blend          (a Python that has the bpy package)

The installed extension does the work; where there is none, the one this file belongs to, for this run only.
"""

from __future__ import annotations

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
    if len(arguments) != 2:
        sys.exit("Two arguments are needed after “--”: PICTURE OUT.blend")
    picture, out = (Path(each).expanduser().absolute() for each in arguments)
    if not picture.is_file():
        raise RuntimeError(f"The picture {picture} does not exist.")
    with tempfile.TemporaryDirectory() as folder:
        enable_extension(Path(folder))
        if not bpy.data.filepath:  # no .blend was named before this script: an empty scene instead of the start-up one
            bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.context.scene.image_to_mesh.image = bpy.data.images.load(str(picture))
        bpy.ops.image_to_mesh.generate()
        bpy.context.scene.image_to_mesh.image = None
        out.parent.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(out))
    print(f"Saved {out}")


def enable_extension(folder: Path) -> None:
    """Enable this checkout from a temporary repository in ``folder``, unless the extension is there already."""
    if hasattr(bpy.types, "IMAGE_TO_MESH_OT_generate"):
        return
    try:
        (folder / "image_to_mesh").symlink_to(ROOT, target_is_directory=True)
    except OSError:  # Windows without the right to make links
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
    sys.stdout.flush()
    sys.stderr.flush()
    if not bpy.app.binary_path:
        os._exit(status)  # the bpy package may hang or crash when Python itself ends
    sys.exit(status)
