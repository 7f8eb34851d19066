"""The list of results: it survives all that ends Blender, and each of its buttons works, in any file."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
from common import (
    check_object,
    counts,
    disc,
    install,
    module,
    reconstruction,
    refused,
    task_manager,
    use_backend,
)


def test(package: Path, _: Path, python: Path, weights: Path) -> None:
    install(package)
    use_backend(python, weights)
    operators, jobs = bpy.ops.image_to_mesh, module("operators.job_list")
    assert jobs.listed_jobs() == ()
    bpy.context.scene.image_to_mesh.image = disc()
    operators.generate()
    (first,) = jobs.listed_jobs()
    assert (first.record.name, first.faces, first.picture) == ("disc", 500, "image.png") and first.bytes > 10_000
    assert first.thumbnail.is_file()
    about = bpy.context.active_object["image_to_mesh"].to_dict()
    assert len(about["image_sha256"]) == 64 and about["options"]["seed"] == 0 and about["version"]

    operators.generate_again()  # of the active object
    again, _ = jobs.listed_jobs()
    assert again.record.options == first.record.options | {"seed": 1} and "disc.001" in bpy.data.objects
    assert bpy.context.active_object["image_to_mesh"]["image_sha256"] == about["image_sha256"]
    operators.delete_result(job=first.folder.name)
    assert not first.folder.exists() and [job.folder for job in jobs.listed_jobs()] == [again.folder]
    assert refused(lambda: operators.add_saved_result(job=first.folder.name))

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    jobs.invalidate()  # as after a restart
    operators.generate_again(job=again.folder.name, seed=7)  # its image went with the first job
    assert jobs.listed_jobs()[0].record.options["seed"] == 7
    operators.add_saved_result(job=again.folder.name)
    check_object(bpy.context.active_object)
    assert bpy.context.active_object["image_to_mesh"]["options"]["seed"] == 1
    operators.remesh()

    check_strangers(jobs)
    use_backend(python, weights)
    check_interrupted(jobs, operators)


def check_strangers(jobs) -> None:
    """Nothing but a job's folder of this computer can be named."""
    before = counts()
    parent = jobs.jobs_folder()
    (parent / "empty").mkdir()
    (parent / "damaged").mkdir()
    (parent / "damaged" / "job.json").write_text("[1, 2]")
    victim = parent.parent / "victim"
    victim.mkdir()
    jobs.invalidate()
    listed = {job.folder.name for job in jobs.listed_jobs()}
    assert not listed & {"empty", "damaged"}
    for name in ("", ".", "..", "../victim", str(victim), "empty", "damaged"):
        for operator in (bpy.ops.image_to_mesh.delete_result, bpy.ops.image_to_mesh.add_saved_result):
            assert "no longer" in refused(lambda: operator(job=name)), name  # noqa: B023
    assert victim.is_dir() and counts() == before
    shutil.rmtree(parent / "damaged")


def check_interrupted(jobs, operators) -> None:
    """A job that ended with Blender is listed, without a result, and can be started again."""
    bpy.context.scene.image_to_mesh.image = disc()
    task = module("operators.generate").IMAGE_TO_MESH_OT_generate.new_task(bpy.context)
    task_manager().start(task)
    task_manager().close()
    interrupted = jobs.listed_jobs()[0]
    assert interrupted.folder == task.folder and interrupted.faces == 0
    operators.generate_again(job=interrupted.folder.name, seed=0)
    assert reconstruction().added and jobs.listed_jobs()[0].faces == 500

    Path(jobs.listed_jobs()[0].record.image).unlink()
    assert "missing" in refused(lambda: operators.generate_again(job=jobs.listed_jobs()[0].folder.name))
