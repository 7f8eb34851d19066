"""The next job deletes old job folders, but none that is needed; a preview shows as an icon."""

from __future__ import annotations

import os
from pathlib import Path

import bpy
from common import counts, install, module, write_job_folder


def test(package: Path, folder: Path) -> None:
    install(package)
    check_pruning(module("operators.job_folders"))
    check_job_names(module("operators.job_folders"), folder)
    check_preview(module("panels.preview"), folder)


def check_pruning(job_folders) -> None:
    parent = job_folders.jobs_folder()
    folders = [parent / f"2026-01-{day:02} 12-00-00" for day in range(1, 31)]
    for moment, job in enumerate(folders):
        job.mkdir(parents=True)
        (job / "mesh.npz").write_bytes(bytes(100_000))
        os.utime(job, (1e9 + moment, 1e9 + moment))
    (parent / "no folder.txt").write_text("")
    preferences = module("operators.paths").preferences()
    assert preferences.results_limit >= 1000
    job_folders.new_job_folder().rmdir()
    assert all(folder.is_dir() for folder in folders), "results within the limit were deleted"
    preferences.results_limit = 2

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

    new = job_folders.new_job_folder()
    assert new.is_dir() and not list(new.iterdir())
    left = {path for path in parent.iterdir() if path.is_dir()}
    assert left == {of_object, of_image, running, new, *folders[-17:]}, sorted(path.name for path in left)

    bpy.data.objects.remove(obj)
    bpy.data.images.remove(image)
    (running / ".partial").rmdir()
    preferences.results_limit = 1
    os.utime(running, (1e9, 1e9))
    job_folders.new_job_folder()
    left = {path for path in parent.iterdir() if path.is_dir()}
    assert not left & {of_object, of_image, running} and left >= {new, *folders[-10:]} and folders[-11] not in left


def check_job_names(job_folders, folder: Path) -> None:
    """A .blend from anybody chooses among the job folders, and never any other."""
    jobs = job_folders.jobs_folder()
    mine, victim = jobs / "mine", folder / "victim"
    for path in (mine, victim, mine / "inner"):
        path.mkdir()
    obj = bpy.data.objects.new("Object", None)
    outside = [
        str(victim),
        "..",
        ".",
        "",
        "mine/inner",
        "../jobs/mine/..",
        "mine/../../..",
        "C:\\Users",
        "x" * 300,
        3,
        0.5,
    ]
    outside += [True, [1, 2], {"a": "mine"}, os.path.relpath(victim, jobs), str(mine), "a\0b"]
    if os.name == "posix":
        (jobs / "link").symlink_to(victim)
        (jobs / "loop").symlink_to("loop")
        (jobs / "self").symlink_to(".")
        outside += ["link", "loop", "self"]
    for name in outside:
        obj["image_to_mesh"] = {"job": name}
        assert job_folders.job_folder(obj) is None, name
        if isinstance(name, str):
            obj["image_to_mesh"] = {"folder": name}
            expected = mine if name == str(mine) else None  # of an older version
            assert job_folders.job_folder(obj) == expected, name
            obj["image_to_mesh"] = name
            assert job_folders.job_folder(obj) is None and not job_folders.provenance(obj)
    obj["image_to_mesh"] = {"job": "mine"}
    assert job_folders.job_folder(obj) == mine
    bpy.data.objects.remove(obj)


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
