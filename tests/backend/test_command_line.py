"""The command line: what a person sees for a good picture, a bad one, a full disk and an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend import environment
from backend.__main__ import main
from backend.accelerator import WHEELS, platform_tag, python_tag
from backend.installer import python_of
from backend.paths import STARTER_WEIGHTS
from tests.helpers.images import shaded_disc
from tests.helpers.paths import ROOT

if os.name == "posix":
    import resource


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch) -> Path:
    """Run in an empty folder with a shaded disc in it, and keep logs away from the user's own."""
    folder = tmp_path / "Bilder und Ümläute"
    folder.mkdir()
    Image.fromarray(shaded_disc()).save(folder / "disc.png")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return folder


def _flags(weights: Path) -> list[str]:
    return f"--weights|{weights}|--faces|500|--texture-size|256|--device|cpu|--elevation|20".split("|")


def _process(*arguments: str, python=sys.executable) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [python, "-m", "backend", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _assert_glb(path: Path) -> None:
    data = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size = struct.unpack("<I", data[12:16])[0]
    assert json.loads(data[20 : 20 + size])["meshes"]


@pytest.mark.slow
def test_mesh_writes_two_files(weights, working_folder, tmp_path):
    Image.open("disc.png").getchannel("A").save("mask.png")
    process = _process("mesh", "disc.png", *_flags(weights), "--mask", "mask.png")
    out, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    # The preview would have the picture's own name, so it gets another.
    assert _names(working_folder) == ["disc-preview.png", "disc.glb", "disc.png", "mask.png"]
    assert Image.open("disc.png").size == (128, 128)
    _assert_glb(Path("disc.glb"))
    assert str(working_folder / "disc.glb") in out and str(working_folder / "disc-preview.png") in out
    for word in ("views", "texture", "watertight", "manifold", "elevation 20 degrees: given", "cutout by mask"):
        assert word in out
    assert "Traceback" not in stderr


def test_mesh_refuses_a_bad_image_in_a_real_process(working_folder, tmp_path):
    Path("text.png").write_text("hello")
    process = _process("mesh", "text.png")
    out, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and out == ""
    log = tmp_path / "home" / "logs" / "command-line.log"
    assert "error: text.png is not an image that can be read" in stderr and f"log: {log}" in stderr
    assert "Traceback" not in stderr and "Traceback" in log.read_text(encoding="utf-8")
    assert _names(working_folder) == ["disc.png", "text.png"]


def test_mistakes_are_one_sentence_each(weights, working_folder, capsys):
    plain = np.full((64, 64, 3), 200, np.uint8)
    Image.fromarray(plain).save("plain.png")
    plain[30:34, 30:34] = 190
    Image.fromarray(plain).save("nothing.png")
    Image.new("RGB", (1, 1)).save("one.png")
    Image.new("1", (16384, 16384)).save("huge.png")
    Image.new("RGBA", (64, 64), (9, 9, 9, 0)).save("clear.png")
    Path("cut.png").write_bytes(Path("disc.png").read_bytes()[:500])
    before = _names(working_folder)
    for arguments, words in (
        (["none.png"], "There is no file"),
        (["."], "cannot be read"),
        (["one.png"], "too small"),
        (["huge.png"], "too large"),
        (["clear.png"], "fully transparent"),
        (["plain.png"], "all one color"),
        (["cut.png"], "damaged"),
        (["nothing.png"], "object"),
        (["disc.png", "-o", "disc.obj"], "does not end in .glb"),
        (["disc.png", "-o", "nowhere/disc.glb"], "There is no folder"),
        (["disc.png", "--faces", "3"], "between 500 and 200000"),
        (["disc.png", "--weights", "none"], "No weights named “none”"),
    ):
        assert main(["mesh", *arguments]) == 1
        captured = capsys.readouterr()
        assert words in captured.err and "Traceback" not in captured.err and captured.out == ""
        assert sum(line.startswith("error: ") for line in captured.err.splitlines()) == 1
        assert _names(working_folder) == before


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_full_disk_leaves_nothing_behind(weights, working_folder, tmp_path, monkeypatch, capsys):
    """Files may have 100 kB only: what a disk that becomes full during the work looks like."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        status = main(["mesh", "disc.png", *_flags(weights)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    stderr = capsys.readouterr().err
    assert status == 1 and "error: The disk is full" in stderr, stderr
    assert _names(working_folder) == ["disc.png"] and not list(tmp_path.glob("image-to-mesh-*"))


@pytest.mark.slow
def test_nothing_of_the_user_is_overwritten(weights, working_folder):
    """Files named like the results: a picture, an edited preview, another program's mesh; and results of our own."""
    shutil.copy("disc.png", "car.png")
    Path("car.glb").write_bytes(b"glTF of somebody")
    shutil.copy("disc.png", "dish.png")
    before = {name: Path(name).read_bytes() for name in _names(working_folder)}
    assert main(["mesh", "disc.png", "-o", "car.glb", *_flags(weights)]) == 1
    assert main(["mesh", "disc.png", "-o", "dish.glb", *_flags(weights)]) == 0
    assert _names(working_folder) == sorted([*before, "dish-preview.png", "dish.glb"])
    shutil.copy("disc.png", "dish-preview.png")
    assert main(["mesh", "disc.png", "-o", "dish.glb", *_flags(weights)]) == 1
    assert {name: Path(name).read_bytes() for name in before} == before
    assert Path("dish-preview.png").read_bytes() == before["disc.png"]
    assert main(["mesh", "disc.png", "-o", "car.glb", "--force", *_flags(weights)]) == 0
    _assert_glb(Path("car.glb"))
    Path("dish-preview.png").unlink()
    assert main(["mesh", "disc.png", "-o", "dish.glb", *_flags(weights)]) == 0, "our own results are replaced"
    assert {name: Path(name).read_bytes() for name in before if name != "car.glb"} == {
        name: content for name, content in before.items() if name != "car.glb"
    }


@pytest.mark.parametrize(
    ("name", "step"),
    [("SIGINT", "Generating views"), ("SIGTERM", "Loading the networks"), ("SIGHUP", "Cutting out the object")],
)
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_signal_leaves_no_temporary_files(name, step, weights, working_folder, tmp_path, monkeypatch):
    number = getattr(signal, name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # Whoever started the tests may ignore it, as nohup does, and so would the process.
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    process = _process("mesh", "disc.png", *_flags(weights), "--quality", "high")
    for line in process.stderr:
        if step in line:
            break
    assert list(tmp_path.glob("image-to-mesh-*"))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "Traceback" not in stderr
    assert not list(tmp_path.glob("image-to-mesh-*")) and _names(working_folder) == ["disc.png"]


def test_half_installed_environment_is_reported(working_folder, tmp_path, monkeypatch):
    """The run inside the environment finds packages missing: no second attempt, one sentence."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    monkeypatch.setenv("IMAGE_TO_MESH_INSIDE", "1")
    process = _process("mesh", "disc.png", python=python)
    _, stderr = process.communicate(timeout=30)
    assert (
        process.returncode == 1
        and "error: The backend's environment is missing torch" in stderr
        and "backend setup" in stderr
    )
    assert "Traceback" not in stderr


def test_python_without_packages_goes_on_inside_the_environment(weights, working_folder, tmp_path):
    """A bare Python finds the complete environment and runs there (one with the packages of this Python, for speed)."""
    tag = f"{python_tag()}-{platform_tag()}-cpu-{environment._lock_hash(WHEELS)}"
    inside = tmp_path / "home" / "env" / tag
    for folder in (inside, tmp_path / "bare"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(inside)})
    # a test environment may lean on the backend's, so every folder of packages counts
    shown = [folder for folder in sys.path if folder.endswith("site-packages")]
    Path(packages, "packages.pth").write_text("\n".join(shown), encoding="utf-8")
    assert environment.python_path() == python_of(inside)
    process = _process("doctor", python=python_of(tmp_path / "bare"))
    out, stderr = process.communicate(timeout=120)
    assert "Traceback" not in stderr and str(inside) in out and "torch " in out


def test_doctor_shows_versions_device_and_weights(capsys):
    status = main(["doctor"])
    captured = capsys.readouterr()
    assert status == 0 and captured.err == ""
    assert "torch " in captured.out and "device: " in captured.out and f"weights: {STARTER_WEIGHTS}" in captured.out
