"""Tiny wheels that stand in for the large ones, and a folder like ``wheels/`` that names them."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from backend import accelerator

MODEL = "stands for U2-Net-P"


def write_wheel(folder: Path, name: str, version: str, source: str, more: str = "", module: str = "") -> Path:
    """A wheel with one file ``module`` (default: NAME.py); ``more`` goes into its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        module or f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = (f"{file},sha256={digest(text)},{len(text.encode())}\n" for file, text in files.items())
    files[f"{info}/RECORD"] = f"{''.join(rows)}{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def pin(wheel: Path) -> str:
    """The line of a lock that allows this wheel."""
    name, version, *_ = wheel.name.split("-")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def write_wheels(folder: Path, links: Path, source: str = "size = 1\n", disk: int = 1, more: str = "") -> Path:
    """A folder like ``wheels/``; its one package ``pebble``, and ``cutter`` with the model, lie in ``links``.

    ``cutter`` declares that it is for older Pythons, as the real one does.
    """
    folder.mkdir()
    tag = accelerator.platform_tag()
    lock = folder / f"{accelerator.python_tag()}-{tag}.lock"
    lock.write_text(pin(write_wheel(links, "pebble", "1.0", source)))
    model = write_wheel(links, "cutter", "2.0", MODEL, "Requires-Python: <3.11\n", "cutter/u2netp.onnx")
    (folder / "u2netp.lock").write_text(pin(model))
    facts = f'modules = ["pebble"]\n[build.{tag}-cpu]\ndownload = 1\ndisk = {disk}\n{more}'
    (folder / "accelerators.toml").write_text(facts)
    return folder
