"""``blender --command image_to_mesh PICTURE --out FILE``: one image to one file, without a window."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError, printable
from ..backend.options import add_flags, from_flags
from ..properties import COMPUTER_OPTIONS
from .job_folders import job_folder
from .reporting import log_unexpected
from .scripting import generate_object

NAME = "image_to_mesh"


def run(arguments: list[str]) -> int:
    """Run the command; the exit status: 0, or 1 with one sentence, or that of argparse."""
    try:
        _run(arguments)
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:
        print(f"error: {printable(str(log_unexpected(error)))}", file=sys.stderr, flush=True)
        return 1
    return 0


def _run(arguments: list[str]) -> None:
    parser = ArgumentParser(prog=f"blender --command {NAME}", description="Turn one image into a textured object.")
    parser.add_argument("picture", type=Path, metavar="PICTURE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new .blend or .glb file")
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    parser.add_argument("--camera", action="store_true", help="add a camera with the viewpoint of the image")
    add_flags(parser)
    flags = parser.parse_args(arguments)
    out = flags.out.expanduser().absolute()
    _check_output(out, flags.force)
    options = from_flags(flags).to_dict()
    for option in COMPUTER_OPTIONS:
        if getattr(flags, option.name) is None:  # then the preferences say
            del options[option.name]
    if not bpy.data.filepath:  # no .blend was given: an empty scene instead of the start-up one
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    obj = generate_object(flags.picture, "", flags.camera, options)
    folder = job_folder(obj)
    if out.suffix.lower() == ".blend":
        bpy.ops.wm.save_as_mainfile(filepath=str(out))
    elif folder is not None:
        shutil.copy(folder / "mesh.glb", out)
    print(out)


def _check_output(out: Path, force: bool) -> None:
    """What can be known before anything is computed. Raises UserError."""
    if out.suffix.lower() not in (".blend", ".glb"):
        raise UserError(ErrorCode.BAD_OUTPUT, f"{out} is neither a .blend nor a .glb file: choose such a name.")
    if not out.parent.is_dir():
        raise UserError(ErrorCode.BAD_OUTPUT, f"There is no folder {out.parent}: create it first, or choose another.")
    if out.is_dir() or (out.exists() and not force and str(out) != bpy.data.filepath):
        raise UserError(ErrorCode.BAD_OUTPUT, f"{out} exists: choose another name, or replace it with --force.")


def register() -> None:
    bpy.types.WindowManager.image_to_mesh_command = [bpy.utils.register_cli_command(NAME, run)]


def unregister() -> None:
    bpy.utils.unregister_cli_command(bpy.types.WindowManager.image_to_mesh_command.pop())
    del bpy.types.WindowManager.image_to_mesh_command
