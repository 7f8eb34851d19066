"""The real backend process: real pipes, real files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from backend import protocol
from backend.client import Backend
from backend.errors import UserError
from backend.paths import PARTIAL
from backend.protocol import Progress
from backend.version import VERSION
from tests.helpers.backend_process import (
    ENVIRONMENT,
    end_of,
    files,
    linux,
    save_disc,
    small_options,
    wait_for_stage,
    wait_until,
)

if sys.platform == "linux":
    import resource

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """One process for all tests that must leave it usable."""
    with Backend(sys.executable, tmp_path_factory.mktemp("log") / "backend log.txt", ENVIRONMENT) as running:
        yield running


@pytest.fixture
def image_path(tmp_path) -> Path:
    return save_disc(tmp_path)


@pytest.fixture(scope="module")
def finished_job(backend, weights, tmp_path_factory) -> Path:
    """A job's folder. Copy it before changing anything."""
    folder = tmp_path_factory.mktemp("finished")
    backend.wait(backend.generate(save_disc(folder), folder / "job", small_options(weights, elevation=25.0)))
    return folder / "job"


def test_hello_states_versions(backend):
    wait_until(lambda: backend.poll() or backend.hello)
    assert backend.hello["protocol"] == protocol.PROTOCOL
    assert backend.hello["backend"] == VERSION
    assert backend.alive


def test_generate_writes_a_result(backend, weights, image_path, tmp_path):
    folder = tmp_path / "Ergebnis № 1"
    events: list[Progress] = []
    result = backend.wait(backend.generate(image_path, folder, small_options(weights)), events.append)
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[0] == 0 and 0.9 < fractions[-1] <= 1
    assert len({event.stage for event in events}) >= 6
    expected = [
        "confidence.png",
        "field.safetensors",
        "mesh.glb",
        "mesh.npz",
        "preview.png",
        "report.json",
        "texture.png",
    ]
    assert set(expected) <= set(files(folder)) and PARTIAL not in files(folder)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["mesh"]["watertight"] and report["mesh"]["manifold"] and report["mesh"]["faces"] == 500
    assert report["elevation"]["source"] in ("matched", "predicted", "default")
    assert set(report["camera"]) == {"camera_to_world", "focal", "canvas", "width", "height"}
    assert {"views", "surface", "mesh", "texture"} <= set(report["seconds"])
    assert result["report"]["mesh"] == report["mesh"]


def test_cutout_and_mask(backend, weights, image_path, tmp_path):
    folder, options = tmp_path / "job", small_options(weights, elevation=25.0)
    shown = backend.wait(backend.cutout(image_path, folder, options))
    assert shown["method"] == "alpha" and files(folder) == ["cutout-auto.png", "cutout.png"]
    assert backend.wait(backend.load(options)) == {}
    mask = Image.open(shown["painting"]).getchannel("A").point(lambda value: 255 * (value == 255))
    mask.paste(0, (0, 0, 64, 128))  # only the right half
    mask.save(folder / "mask.png")
    report = backend.wait(backend.generate(image_path, folder, options, mask=folder / "mask.png"))["report"]
    assert report["foreground"] == "mask" and report["cutout"]["share"] == pytest.approx(
        np.pi * 50**2 / 128**2 / 2, 0.05
    )
    with pytest.raises(UserError, match="no file"):
        backend.wait(backend.generate(image_path, folder, options, mask=folder / "none.png"))


def test_cutouts_do_not_wait_for_networks(weights, image_path, tmp_path):
    folder, options = tmp_path / "job", small_options(weights, elevation=25.0)
    with Backend(sys.executable, tmp_path / "log.txt", ENVIRONMENT) as backend:
        backend.wait(backend.cutout(image_path, folder, options))
        assert backend.wait(backend.load(options)) == {}
        assert backend.wait(backend.load(options)) == {}  # as after every cutout
        shown = backend.wait(backend.cutout(image_path, folder, options | {"cutout": "grabcut"}))
        assert shown["method"] == "grabcut"
        events: list[Progress] = []
        job = backend.generate(image_path, folder, options)
        wait_until(lambda: events.extend(backend.poll()) or events)
        assert events[0].stage == "start"  # they are still being loaded
        backend.cancel(job)
        with pytest.raises(UserError, match="Cancelled"):
            backend.wait(job)
        assert backend.wait(backend.generate(image_path, folder, options))["report"]["mesh"]["watertight"]


def test_networks_that_cannot_be_loaded_are_the_jobs_error(backend, weights, image_path, tmp_path):
    options = small_options(tmp_path / "no weights", elevation=25.0)
    assert backend.wait(backend.load(options)) == {}
    with pytest.raises(UserError, match="no weights"):
        backend.wait(backend.generate(image_path, tmp_path / "job", options))
    assert backend.wait(backend.generate(image_path, tmp_path / "job", small_options(weights)))["report"]


def test_further_images_are_views_of_the_result(backend, weights, image_path, tmp_path):
    folder = tmp_path / "job"
    views = {"back": image_path, "60,10": image_path}
    backend.wait(backend.generate(image_path, folder, small_options(weights, elevation=25.0), views))
    with np.load(folder / "views.npz") as arrays:
        assert arrays["names"].tolist()[:3] == ["input", "back", "60,10"]
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["given"] == ["60,10", "back"]
    with pytest.raises(UserError, match="no side of the object"):
        backend.wait(backend.generate(image_path, folder, small_options(weights), {"under": image_path}))

    rebuilt, options = tmp_path / "rebuilt", small_options(weights, elevation=30.0)
    changes = {"back": "drop", "2": {"seed": 4}, "5": "drop", "1": {"image": str(image_path)}}
    report = backend.wait(backend.rebuild(folder, rebuilt, options, changes))["report"]
    assert report["elevation"] == {"degrees": 30.0, "confidence": 1.0, "source": "given"}
    assert report["given"] == ["60,10", "right"] and report["mesh"]["faces"] == 500
    assert report["picture"] == image_path.name and "seconds" in report
    with np.load(rebuilt / "views.npz") as arrays:
        assert arrays["names"].tolist()[:3] == ["input", "60,10", "right"] and "5" not in arrays["names"]
    assert backend.wait(backend.remesh(rebuilt, small_options(weights, faces=600)))["report"]["mesh"]["faces"] == 600
    with pytest.raises(UserError, match="no view “5”"):
        backend.wait(backend.rebuild(rebuilt, tmp_path / "third", options, {"5": "drop"}))
    with pytest.raises(UserError, match="missing or damaged"):
        backend.wait(backend.rebuild(tmp_path / "third", tmp_path / "fourth", options, {}))


def test_remesh_starts_from_the_saved_field(backend, weights, finished_job, tmp_path):
    folder = shutil.copytree(finished_job, tmp_path / "job")
    events: list[Progress] = []
    backend.wait(backend.remesh(folder, {"faces": 1000, "texture_size": 512}), events.append)
    assert "views" not in {event.stage for event in events}
    with np.load(folder / "mesh.npz") as arrays:
        assert arrays["faces"].shape == (1000, 3) and arrays["uvs"].shape == (1000, 3, 2)
    assert Image.open(folder / "texture.png").size == (512, 512)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["elevation"] == {"degrees": 25.0, "confidence": 1.0, "source": "given"}
    assert report["options"]["faces"] == 1000 and report["options"]["weights"] == str(weights)


def test_bad_requests_get_one_sentence_and_the_process_lives_on(backend, weights, image_path, tmp_path):
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(image_path.read_bytes()[:500])
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    Image.new("1", (16384, 16384)).save(tmp_path / "huge.png")
    Image.new("RGBA", (64, 64), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    Image.new("CMYK", (64, 64), (9, 9, 9, 0)).save(tmp_path / "plain.tif")
    pid = wait_until(lambda: backend.poll() or backend.hello)["pid"]
    good = small_options(weights)
    for path, options, code in (
        (tmp_path / "none.png", good, "bad_image"),
        (tmp_path / "text.png", good, "bad_image"),
        (tmp_path / "cut.png", good, "bad_image"),
        (tmp_path / "one.png", good, "bad_image"),
        (tmp_path / "huge.png", good, "bad_image"),
        (tmp_path / "clear.png", good, "bad_image"),
        (tmp_path / "plain.tif", good, "bad_image"),
        (image_path, good | {"faces": 3}, "bad_option"),
        (image_path, good | {"color": 3}, "bad_option"),
        (image_path, good | {"device": "mps"}, "no_device"),
        (image_path, good | {"weights": str(tmp_path / "none")}, "weights_missing"),
    ):
        with pytest.raises(UserError) as caught:
            backend.wait(backend.generate(path, tmp_path / "job", options))
        assert caught.value.code == code, str(caught.value)
        assert str(caught.value).endswith(".") and "Traceback" not in str(caught.value)
        assert caught.value.log == str(backend.log)
        assert not (tmp_path / "job").exists()
    with pytest.raises(UserError) as caught:
        backend.wait(backend.remesh(tmp_path / "job", {}))
    assert caught.value.code == "no_state" and not (tmp_path / "job").exists()
    assert backend.alive and backend.hello["pid"] == pid
    assert "Traceback" in backend.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "file", ["view/unet/diffusion_pytorch_model.safetensors", "surface/model.safetensors", "surface/config.json"]
)
def test_weights_missing_or_truncated(backend, weights, image_path, tmp_path, file):
    damaged = tmp_path / "weights"
    shutil.copytree(weights, damaged)
    content = (damaged / file).read_bytes()
    for change in (lambda: (damaged / file).write_bytes(content[: len(content) // 2]), (damaged / file).unlink):
        change()
        with pytest.raises(UserError, match="install") as caught:
            backend.wait(backend.generate(image_path, tmp_path / "job", small_options(damaged)))
        assert caught.value.code.startswith("weights") and str(damaged) in str(caught.value)
        assert not (tmp_path / "job").exists()


def test_weights_that_generate_undefined_numbers(backend, weights, image_path, tmp_path):
    broken = shutil.copytree(weights, tmp_path / "broken")
    path = broken / "view" / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["decoder.conv_norm_out.weight"].fill_(3e38)  # finite, and so loaded; products of it are not
    save_file(tensors, path)
    with pytest.raises(UserError) as error:
        backend.wait(backend.generate(image_path, tmp_path / "job", small_options(broken)))
    assert error.value.code == "broken_views"
    assert not (tmp_path / "job").exists()


def test_earlier_result_survives_a_failure(backend, weights, finished_job, tmp_path):
    folder = shutil.copytree(finished_job, tmp_path / "job")
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    with pytest.raises(UserError):
        backend.wait(backend.generate(tmp_path / "none.png", folder, small_options(weights)))
    id = backend.remesh(folder, {"faces": 20_000, "texture_size": 2048})
    wait_for_stage(backend, id, "mesh")
    backend.cancel(id)
    assert end_of(backend, id).error.code == "cancelled"
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


@linux
def test_memory_limit_is_one_sentence(backend, finished_job, tmp_path):
    """Real allocations fail: one sentence, the earlier result stays, and with memory it works again."""
    folder = shutil.copytree(finished_job, tmp_path / "job")
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    pid = backend.hello["pid"]
    used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    limit = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (used + 50_000_000, limit[1]))
    try:
        with pytest.raises(UserError) as caught:
            backend.wait(backend.remesh(folder, {"texture_size": 4096}))
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, limit)
    assert caught.value.code == "out_of_memory" and backend.alive
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before
    backend.wait(backend.remesh(folder, {"texture_size": 256}))


def test_cancel_ends_the_job_and_not_the_process(backend, weights, image_path, tmp_path):
    slow = small_options(weights, quality="high")
    id = backend.generate(image_path, tmp_path / "job", slow)
    waiting = backend.generate(image_path, tmp_path / "next", slow)
    wait_for_stage(backend, id, "views")
    backend.cancel(waiting)
    assert end_of(backend, waiting, 2).error.code == "cancelled"
    started = time.monotonic()
    backend.cancel(id)
    backend.cancel(id)
    assert end_of(backend, id).error.code == "cancelled"
    assert time.monotonic() - started < 3 and backend.alive
    assert not (tmp_path / "job").exists() and not (tmp_path / "next").exists()
    assert backend.poll() == []


@linux
def test_full_disk_is_one_sentence(weights, image_path, tmp_path):
    """The job's folder lies on a file system of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    inside = f'mount -t tmpfs -o size=64k tmpfs "{folder}" && exec "{sys.executable}" "$@"'
    wrapper = tmp_path / "python"
    wrapper.write_text(f"#!/bin/sh\nexec unshare -rm sh -c '{inside}' sh \"$@\"\n")
    wrapper.chmod(0o755)
    if subprocess.run([wrapper, "-c", ""], capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    with Backend(wrapper, tmp_path / "log", ENVIRONMENT) as own:
        with pytest.raises(UserError, match="disk is full") as caught:
            own.wait(own.generate(image_path, folder / "job", small_options(weights, texture_size=1024)))
        assert caught.value.code == "disk_full" and own.alive


def test_weights_are_added_and_removed(weights, tmp_path):
    """The same progress, results and errors as of any other job; the installed weights are complete, or not there."""
    home = tmp_path / "Zu Hause"
    with Backend(sys.executable, tmp_path / "log", ENVIRONMENT | {"IMAGE_TO_MESH_HOME": str(home)}) as own:
        events: list[Progress] = []
        added = Path(own.wait(own.add_weights(weights, "mine"), events.append)["folder"])
        assert added == home / "weights" / "mine" and (added / "weights.json").is_file()
        fractions = [event.fraction for event in events]
        assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
        assert all(event.stage and event.text for event in events)

        with pytest.raises(UserError, match="mine") as caught:
            own.wait(own.add_weights(weights, "mine"))
        assert caught.value.code == "weights_there"

        id = own.add_weights(weights, "other")
        own.cancel(id)
        assert end_of(own, id).error.code == "cancelled"
        assert [path.name for path in (home / "weights").iterdir()] == ["mine"] and own.alive

        assert own.wait(own.remove_weights("mine"))["bytes"] > 0
        assert not added.exists()
        with pytest.raises(UserError) as caught:
            own.wait(own.remove_weights("mine"))
        assert caught.value.code == "weights_missing"
