"""The next job deletes old job folders, but none that is needed; a preview shows as an icon."""

from __future__ import annotations

import os
from pathlib import Path

import bpy
from common import arguments, counts, install, module, run, write_job_folder


def test() -> None:
    package, folder = arguments()
    install(package)
    check_pruning(module("operators.paths"))
    check_preview(module("panels.preview"), folder)


def check_pruning(files) -> None:
    parent = files.user_folder() / "jobs"
    folders = [parent / f"2026-01-{day:02} 12-00-00" for day in range(1, 31)]
    for moment, each in enumerate(folders):
        each.mkdir(parents=True)
        (each / "mesh.npz").write_bytes(b"x")
        os.utime(each, (1e9 + moment, 1e9 + moment))
    (parent / "no folder.txt").write_text("")

    placed, looked_at, running = folders[:3]
    obj = bpy.data.objects.new("Thing", None)
    obj["image_to_mesh"] = {"folder": str(placed)}
    bpy.data.objects.new("Other", None)["image_to_mesh"] = {"picture": "of an older version"}
    write_job_folder(looked_at / "job")
    image = bpy.data.images.load(str(looked_at / "job" / "texture.png"))
    image.filepath = str(looked_at / "picture.png")
    (running / ".partial").mkdir()
    os.utime(running, (1e9, 1e9))
    os.utime(looked_at, (1e9, 1e9))

    new = files.new_job_folder()
    assert new.is_dir() and not list(new.iterdir())
    left = {each for each in parent.iterdir() if each.is_dir()}
    assert left == {placed, looked_at, running, new, *folders[-19:]}, sorted(each.name for each in left)

    bpy.data.objects.remove(obj)
    bpy.data.images.remove(image)
    (running / ".partial").rmdir()
    os.utime(running, (1e9, 1e9))
    files.new_job_folder()
    left = {each for each in parent.iterdir() if each.is_dir()}
    assert not left & {placed, looked_at, running} and new in left and len(left) == files.RECENT_JOBS


def check_preview(preview, folder: Path) -> None:
    write_job_folder(folder / "job")
    path = folder / "job" / "texture.png"
    before = counts()
    assert preview.icon_of(None) == 0 and preview.icon_of(folder / "none.png") == 0
    icon = preview.icon_of(path)  # 0 too where there is no window
    shown = preview.previews()[str(path)]
    assert icon == shown.icon_id and tuple(shown.image_size) == (64, 64)
    path.unlink()
    assert preview.icon_of(path) == icon and any(shown.image_pixels_float)
    assert counts() == before


run(test)
