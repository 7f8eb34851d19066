"""Build the extension: ``python3 wheels/build.py`` writes ``dist/image_to_mesh-VERSION.zip`` and validates it.

Blender's own extension tool does both. It belongs to the program in the variable BLENDER or to ``blender`` on the path,
else to a ``bpy`` package that this Python, or the one in the variable IMAGE_TO_MESH_BPY, has installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def extension_tool() -> list[str]:
    """The command whose arguments are ``build ...`` or ``validate ...``."""
    programs = [path for path in os.environ.get("BLENDER", "").split(os.pathsep) if path]
    program = programs[0] if programs else shutil.which("blender")
    if program:
        return [program, "--command", "extension"]
    pythons = [path for path in os.environ.get("IMAGE_TO_MESH_BPY", "").split(os.pathsep) if path]
    folders = [_site_packages(python) for python in pythons]
    if (spec := find_spec("bpy")) and spec.origin:
        folders.append(Path(spec.origin).parents[1])
    scripts = [script for folder in folders for script in sorted(folder.glob("bpy/*/scripts/addons_core/bl_pkg/cli/*"))]
    script = next((script for script in scripts if script.name == "blender_ext.py"), None)
    if script is None:
        sys.exit("Blender's extension tool was not found: set BLENDER to a Blender program, or pip install bpy.")
    return [sys.executable, "-I", str(script)]


def _site_packages(python: str) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('platlib'))"
    return Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def main() -> None:
    """Build and validate; exits with a message where the tool fails."""
    tool = extension_tool()
    output = ROOT / "dist"
    output.mkdir(exist_ok=True)
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    package = output / f"{manifest['id']}-{manifest['version']}.zip"
    package.unlink(missing_ok=True)
    build = ["build", "--source-dir", str(ROOT), "--output-dir", str(output)]
    for arguments in (build, ["validate", str(package)]):
        if status := subprocess.run([*tool, *arguments]).returncode:
            sys.exit(f"Blender's extension tool failed (exit status {status}): its messages are above.")
    print(f"{package.relative_to(ROOT)}: {package.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
