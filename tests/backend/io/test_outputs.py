"""Where results go: never over files of somebody else's, all or none, one job at a time; noticed before the work."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from backend.errors import UserError
from backend.io import outputs
from backend.io.atomic_folder import atomic_folder
from backend.io.outputs import MESH, PREVIEW, is_ours, png_mark, rename_together, reserve_outputs, write_together
from backend.locks import exclusive_lock, refuse
from tests.helpers.paths import ROOT

IMAGE = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
HOLD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from backend.locks import exclusive_lock, refuse
with exclusive_lock(Path(sys.argv[2]), refuse("busy")):
    print("held", flush=True)
    time.sleep(60)
"""


def _glb(asset: object) -> bytes:
    content = json.dumps({"asset": asset}).encode()
    content += b" " * (-len(content) % 4)
    return struct.pack("<4sII", b"glTF", 2, 20 + len(content)) + struct.pack("<I4s", len(content), b"JSON") + content


def _png(path: Path, **texts: str) -> None:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    IMAGE.save(path, "PNG", pnginfo=info)


FOREIGN = {
    "a picture": (PREVIEW, lambda path: IMAGE.save(path, "PNG")),
    "a picture of another program": (PREVIEW, lambda path: _png(path, Software="GIMP")),
    "a picture about this program": (PREVIEW, lambda path: _png(path, Title="Image to Mesh, preview")),
    "an image generated here": (PREVIEW, lambda path: IMAGE.save(path, "PNG", pnginfo=png_mark("generated image"))),
    "a JPEG": (PREVIEW, lambda path: IMAGE.save(path, "JPEG")),
    "a text": (PREVIEW, lambda path: path.write_text("Software: Image to Mesh, preview")),
    "an empty picture": (PREVIEW, lambda path: path.write_bytes(b"")),
    "a link to a picture": (PREVIEW, lambda path: (IMAGE.save(path.with_name("x"), "PNG"), path.symlink_to("x"))),
    "Blender's GLB": (MESH, lambda path: path.write_bytes(_glb({"generator": "Khronos glTF Blender I/O v4"}))),
    "a GLB of nobody": (MESH, lambda path: path.write_bytes(_glb({"version": "2.0"}))),
    "a GLB that is a list": (MESH, lambda path: path.write_bytes(_glb([]))),
    "a cut GLB": (MESH, lambda path: path.write_bytes(_glb({"generator": "Image to Mesh"})[:25])),
    "no GLB at all": (MESH, lambda path: path.write_text("Image to Mesh")),
    "deep brackets": (MESH, lambda path: path.write_bytes(b"glTF" + b"\0" * 8 + b"\x0f\x27\0\0JSON" + b"[" * 9999)),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_file_is_refused_and_stays(kind, tmp_path):
    role, write = FOREIGN[kind]
    path = tmp_path / "car"
    write(path)
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"-o.*--force") as caught, reserve_outputs({path: role}, 0, force=False):
        pass
    assert caught.value.code == "bad_output" and path.read_bytes() == content
    with reserve_outputs({path: role}, 0, force=True):
        pass


def test_own_files_are_known(tmp_path):
    (tmp_path / "a.glb").write_bytes(_glb({"generator": "Image to Mesh"}))
    IMAGE.save(tmp_path / "a.png", pnginfo=png_mark(PREVIEW))
    assert is_ours(tmp_path / "a.glb", MESH) and is_ours(tmp_path / "a.png", PREVIEW)


UNUSABLE = {
    "a folder": (lambda folder: (folder / "out.glb").mkdir(), "out.glb", "is a folder"),
    "a missing folder": (lambda folder: None, "none/out.glb", "There is no folder"),
    "a file as folder": (lambda folder: (folder / "none").write_text(""), "none/out.glb", "There is no folder"),
    "a long name": (lambda folder: None, "ü" * 130 + ".glb", "cannot be written"),
}
if os.name == "posix":
    UNUSABLE["a FIFO"] = (lambda folder: os.mkfifo(folder / "out.glb"), "out.glb", "not a regular file")
    UNUSABLE["a device"] = (lambda folder: (folder / "out.glb").symlink_to("/dev/null"), "out.glb", "regular file")
if sys.platform == "linux":
    UNUSABLE["a place of the system's"] = (lambda folder: None, "/proc/out.glb", "cannot be written")


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_place_is_refused_before_the_work(kind, tmp_path):
    prepare, name, words = UNUSABLE[kind]
    prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for force in (False, True):
        with pytest.raises(UserError, match=words), reserve_outputs({tmp_path / name: MESH}, 0, force):
            pytest.fail("the work began")
    assert sorted(tmp_path.rglob("*")) == before


def test_full_place_is_refused_before_the_work(tmp_path):
    with (
        pytest.raises(UserError, match="free some space") as caught,
        reserve_outputs({tmp_path / "a": MESH}, 1 << 60, False),
    ):
        pytest.fail("the work began")
    assert caught.value.code == "disk_full" and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that cannot be written")
def test_read_only_place_is_refused_before_the_work(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError) as caught, reserve_outputs({tmp_path / "a.glb": MESH}, 0, False):
        pytest.fail("the work began")
    assert caught.value.code == "no_permission"


def test_all_files_are_written_or_none(tmp_path):
    """The second place becomes a folder while the job runs."""
    first, second, new = tmp_path / "a.glb", tmp_path / "b.png", tmp_path / "0.png"
    first.write_bytes(b"earlier")
    second.mkdir()
    with pytest.raises(OSError):
        write_together({new: b"x", first: b"new", second: b"y"})
    assert first.read_bytes() == b"earlier" and sorted(tmp_path.iterdir()) == [first, second]
    second.rmdir()
    write_together({first: b"new", second: b"y"})
    assert first.read_bytes() == b"new" and second.read_bytes() == b"y" and len(list(tmp_path.iterdir())) == 2


def test_file_that_does_not_fit_leaves_nothing(tmp_path):
    """In a process that may write only small files, as on a full disk."""
    resource = pytest.importorskip("resource")
    (tmp_path / "a").write_bytes(b"earlier")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError):
            write_together({tmp_path / "a": b"x", tmp_path / "b": b"x" * 2000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "a").read_bytes() == b"earlier" and [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_places_keep_their_files_when_one_cannot_be_replaced(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(outputs.os, "link", lambda *_: (_ for _ in ()).throw(OSError("not supported")))
    new = [tmp_path / f"new{index}" for index in range(3)]
    old = [tmp_path / f"old{index}" for index in range(3)]
    for path in (*new, *old):
        path.write_text(path.name)
    old[2].unlink()
    old[2].mkdir()
    with pytest.raises(OSError):
        rename_together(dict(zip(new, old, strict=True)))
    assert [path.read_text() for path in old[:2]] == ["old0", "old1"]
    assert not list(tmp_path.glob("*.earlier"))


def test_lock_dies_with_its_process(tmp_path):
    lock = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(ROOT), str(lock)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="busy"), exclusive_lock(lock, refuse("busy")):
        pytest.fail("both hold it")
    process.kill()
    process.communicate()
    with exclusive_lock(lock, refuse("busy")):
        pass
    assert not lock.exists()


def test_many_who_wait_hold_it_one_after_the_other(tmp_path):
    holders, most = [], []

    def hold() -> None:
        for _ in range(20):
            with exclusive_lock(tmp_path / "lock", lambda: time.sleep(0.001)):
                holders.append(1)
                most.append(len(holders))
                holders.pop()

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 160 and not (tmp_path / "lock").exists()


@pytest.mark.parametrize("partial", ["none", "file", "folder", "link to a folder", "dangling link"])
def test_second_job_in_a_folder_is_refused_and_leftovers_are_no_hindrance(partial, tmp_path):
    folder, elsewhere = tmp_path / "job", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("")
    if partial == "file":
        (folder / ".partial").write_text("")
    elif partial == "folder":
        (folder / ".partial").mkdir()
    elif partial != "none":
        (folder / ".partial").symlink_to(elsewhere if partial == "link to a folder" else "nowhere")
    with atomic_folder(folder) as target:
        (target / "a").write_text("first")
        with pytest.raises(UserError, match="Another job is running") as caught, atomic_folder(folder):
            pytest.fail("both run")
        assert caught.value.code == "busy"
    assert [path.name for path in folder.iterdir()] == ["a"] and (elsewhere / "kept").exists()
