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


def check_pruning(paths) -> None:
    parent = paths.user_folder() / "jobs"
    folders = [parent / f"2026-01-{day:02} 12-00-00" for day in range(1, 31)]
    for moment, job in enumerate(folders):
        job.mkdir(parents=True)
        (job / "mesh.npz").write_bytes(b"x")
        os.utime(job, (1e9 + moment, 1e9 + moment))
    (parent / "no folder.txt").write_text("")

    of_object, of_image, running = folders[:3]
    obj = bpy.data.objects.new("Object", None)
    obj["image_to_mesh"] = {"folder": str(of_object)}
    bpy.data.objects.new("Other", None)["image_to_mesh"] = {"picture": "of an older version"}
    write_job_folder(of_image / "job")
    image = bpy.data.images.load(str(of_image / "job" / "texture.png"))
    image.filepath = str(of_image / "picture.png")
    (running / ".partial").mkdir()
    os.utime(running, (1e9, 1e9))
    os.utime(of_image, (1e9, 1e9))

    new = paths.new_job_folder()
    assert new.is_dir() and not list(new.iterdir())
    left = {path for path in parent.iterdir() if path.is_dir()}
    assert left == {of_object, of_image, running, new, *folders[-19:]}, sorted(path.name for path in left)

    bpy.data.objects.remove(obj)
    bpy.data.images.remove(image)
    (running / ".partial").rmdir()
    os.utime(running, (1e9, 1e9))
    paths.new_job_folder()
    left = {path for path in parent.iterdir() if path.is_dir()}
    assert not left & {of_object, of_image, running} and new in left and len(left) == paths.RECENT_JOBS


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
