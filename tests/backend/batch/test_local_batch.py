"""A batch on this computer, as a user runs it: real processes, which are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from backend.__main__ import main
from backend.batch.manifest import MANIFEST
from backend.io.outputs import MESH, PREVIEW, THUMBNAIL, is_ours
from backend.paths import PARTIAL
from tests.helpers.images import shaded_disc
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Discs of different colors, two with one stem; a file that is no image; a copy; names that are no file names."""
    folder = tmp_path / "Bilder"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("disc.png", "disc.tiff", "sub/<b>&: ü.png", "sub/d.webp")):
        pixels = shaded_disc()
        pixels[..., 2] //= number + 1
        Image.fromarray(pixels).save(folder / name)
    shutil.copy(folder / "disc.png", folder / "sub" / "copy.png")
    (folder / "bad.jpg").write_text("no image")
    (folder / "notes.txt").write_text("not listed")
    return folder


def _command(weights: Path, *arguments: str | Path) -> list[str]:
    small = ["--weights", weights, "--faces", "500", "--texture-size", "256", "--device", "cpu", "--elevation", "20"]
    return ["batch", *map(str, arguments), "--workers", "1", *map(str, small)]


def _entries(out: Path) -> list[dict]:
    lines = (out / MANIFEST).read_bytes().splitlines(keepends=True) if (out / MANIFEST).exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def _wait_for_entries(out: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(_entries(out)) < count:
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_batch_survives_kills_of_a_worker_and_of_itself(weights, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / "Ergebnisse"
    out.mkdir()
    shutil.copy(pictures / "disc.png", out / "disc.png")  # somebody's own
    own = (out / "disc.png").read_bytes()
    command = _command(weights, pictures, "--out", out)
    batch = subprocess.Popen([sys.executable, "-m", "backend", *command], cwd=ROOT, stderr=subprocess.DEVNULL)
    _wait_for_entries(out, 2)
    children = Path(f"/proc/{batch.pid}/task/{batch.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    _wait_for_entries(out, 3)
    batch.send_signal(signal.SIGKILL)
    batch.wait()
    time.sleep(1)  # its worker notices
    before = {entry["input"]: entry for entry in _entries(out) if entry["error"] is None}
    assert before and {entry["error"]["code"] for entry in _entries(out) if entry["error"]} == {"bad_image"}
    times = {file: (out / file).stat().st_mtime_ns for entry in before.values() for file in entry["files"].values()}
    with open(out / MANIFEST, "ab") as manifest:
        manifest.write(b'{"input":"torn')

    assert main(command) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 1, "one picture failed"
    counts = capsys.readouterr().out.splitlines()[0]
    new = 4 - len({entry["sha256"] for entry in before.values()})
    assert new > 0 and counts == f"6 pictures: {new} new, {5 - new} there already, 1 failed"

    entries = _entries(out)
    files = sorted(str(path) for path in pictures.rglob("*.*") if path.suffix != ".txt")
    assert sorted(entry["input"] for entry in entries) == files
    by_name = {Path(entry["input"]).name: entry for entry in entries}
    assert by_name["bad.jpg"]["error"]["code"] == "bad_image" and by_name["bad.jpg"]["files"] == {}
    good = [entry for entry in entries if entry["error"] is None]
    assert by_name["copy.png"]["files"] == by_name["disc.png"]["files"]
    assert len({entry["files"]["mesh"] for entry in good}) == 4
    for entry in good:
        assert all(is_ours(out / entry["files"][role], role) for role in (MESH, PREVIEW, THUMBNAIL)), entry
        assert entry["options"]["faces"] == 500 and len(entry["sha256"]) == 64
    assert {entry["input"]: entry for entry in good if entry["input"] in before} == before
    assert {file: (out / file).stat().st_mtime_ns for file in times} == times, "nothing was done twice"
    assert (out / "disc.png").read_bytes() == own
    assert sorted(path.name for path in out.glob("disc*")) == [
        "disc-2.glb",
        "disc-2.png",
        "disc-3.glb",
        "disc-3.png",
        "disc.png",
    ]
    assert not (out / PARTIAL).exists() and not list(out.rglob("*.lock"))

    page = (out / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;: ü.png" in page and "<b>" not in page and "http-equiv" not in page
    assert page.count("<img") == 5 and "bad.jpg is not an image" in page

    # Everything is there: no process is started. What fails again is one sentence in its line.
    (tmp_path / "list").write_text(f"{pictures}/disc.png\n\n{pictures}/none.png\n{pictures}/disc.tiff\n")
    assert main([*_command(weights, tmp_path / "list", "--out", out), "--resume"]) == 1
    assert "3 pictures: 0 new, 2 there already, 1 failed" in capsys.readouterr().out
    entries = _entries(out)
    assert sorted(entry["input"] for entry in entries) == sorted(
        [*set(files) - {f"{pictures}/bad.jpg"}, f"{pictures}/none.png"]
    )


def test_mistakes_are_one_sentence_and_begin_nothing(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    out = tmp_path / "out"
    for arguments, words in (
        ([pictures, "--out", pictures], "choose another folder with --out"),
        ([pictures / "disc.png", "--out", out], "is one image, not a list"),
        ([pictures / "none", "--out", out], "There is no folder and no list"),
        ([pictures / "notes.txt", "--out", "s3://bucket"], "add “--engine ray”"),
        ([pictures, "--out", out, "--workers", "0"], "at least 1"),
        *([] if find_spec("ray") else [([pictures, "--out", out, "--engine", "ray"], "setup --cluster")]),
    ):
        assert main(["batch", *map(str, arguments)]) == 1
        captured = capsys.readouterr()
        assert words in captured.err and "Traceback" not in captured.err and captured.out == ""
    assert not out.exists()
