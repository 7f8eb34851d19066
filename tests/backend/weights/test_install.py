"""Weights: added from disk in every public format, listed, verified, removed, and used by a job."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kornia.feature.loftr import LoFTR
from kornia.feature.loftr.loftr import default_cfg
from safetensors.torch import load_file, save_file

from backend import surface
from backend.elevation_estimation import loftr
from backend.errors import UserError
from backend.paths import weights_folder
from backend.preprocessing import rembg
from backend.progress import ProgressEvent
from backend.views.zero123.model import Zero123
from backend.weights import registry
from backend.weights.catalog import KINDS, load_catalog
from backend.weights.install import add, convert
from backend.weights.registry import installed_weights
from backend.weights.resolve import resolve_components
from tests.helpers.checkpoints import (
    original_state,
    view_modules,
    write_diffusers,
    write_lightning,
    write_surface_checkpoint,
    write_text_to_image,
)
from tests.helpers.paths import ROOT, TEST_DATA


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    torch.set_num_threads(1)
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "Zu Hause"))
    return tmp_path / "Zu Hause"


@pytest.fixture(scope="module")
def view():
    return view_modules()


def quiet(event: ProgressEvent) -> None:
    assert event.text and 0 <= event.fraction <= 1


def write_loftr(path: Path) -> Path:
    torch.save({"state_dict": LoFTR(None, copy.deepcopy(default_cfg)).state_dict()}, path)
    return path


def command(*arguments: str, python=sys.executable, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    call = [python, "-m", "backend", "weights", *arguments]
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_catalog_is_complete():
    entries = load_catalog()
    assert {entry.kind for entry in entries.values()} <= set(KINDS)
    for entry in entries.values():
        assert set(entry.needs) <= set(entries) and entry.license and entry.purpose and entry.files
        assert all(len(value) == 64 and int(value, 16) for value in entry.sha256.values())
        assert entry.repo is None or (
            entry.repo.count("/") == 1 and "." not in entry.repo.split("/")[0] and entry.bytes
        )
        assert ("non-commercial" in entry.terms) == (not entry.commercial)


def test_checkpoint_and_its_surface_network_become_weights(view, tmp_path):
    ckpt = write_lightning(tmp_path / "zero123-xl.ckpt", original_state(view))
    assert add(ckpt, None, False, quiet) == weights_folder() / "zero123-xl-original"
    with pytest.raises(UserError, match="surface network"):
        resolve_components("zero123-xl-original")
    add(write_surface_checkpoint(tmp_path / "ckpt_215000.pth"), None, False, quiet)
    view_folder, surface_folder = resolve_components("zero123-xl-original")
    assert Zero123.load(view_folder).image_size == 256
    assert surface.load(surface_folder, torch.device("cpu"))
    about = installed_weights()["zero123-xl-original"]
    assert about.kind == "view" and "not the published" in about.license and about.source.endswith("zero123-xl.ckpt")
    assert not (weights_folder() / registry.PARTIAL).exists()


@pytest.mark.parametrize("family", ["clip_camera_projection", "cc_projection"])
def test_folders_of_both_diffusers_families_are_installed(view, tmp_path, family):
    source = write_diffusers(tmp_path / "my Zero123 XL", view, family)
    write_surface = write_surface_checkpoint(tmp_path / "ckpt_215000.pth")
    add(write_surface, None, False, quiet)
    assert Zero123.load(resolve_components(str(source))[0]).image_size == 256  # without being installed
    folder = add(source, None, False, quiet)
    assert folder.name == "my-Zero123-XL"
    files = [path.name for path in folder.rglob("*.*")]
    assert not [name for name in files if name.endswith(".bin")] and "model_index.json" not in files
    tensors = Zero123.load(resolve_components(folder.name)[0]).unet.state_dict()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in view["unet"].state_dict().items())


def test_precision_that_is_preferred_is_the_averaged_16_bit_one(view, tmp_path):
    source = write_diffusers(tmp_path / "zero123-xl-diffusers", view)
    file = source / "unet" / "diffusion_pytorch_model.safetensors"
    averaged = {name: (tensor + 1).half() for name, tensor in load_file(file).items()}
    save_file(averaged, file.with_name("diffusion_pytorch_model.fp16_ema.safetensors"))
    folder = add(source, "mine", False, quiet)
    assert [path.name for path in (folder / "view" / "unet").glob("*.safetensors")] == [file.name]
    assert torch.equal(load_file(folder / "view" / "unet" / file.name)["conv_in.bias"], averaged["conv_in.bias"])


@pytest.mark.parametrize(("name", "polar"), [("stable-zero123", True), ("stable_zero123 copy", True), ("other", False)])
def test_stable_zero123_is_recognized_by_its_name(view, tmp_path, name, polar):
    folder = add(write_diffusers(tmp_path / name, view), None, False, quiet)
    assert Zero123.load(folder / "view").uses_source_elevation == polar


def test_bundle_keeps_its_schedule_and_surface_network(weights, tmp_path):
    folder = add(shutil.copytree(weights, tmp_path / "ours"), None, False, quiet)
    assert installed_weights()["ours"].kind == "bundle"
    assert Zero123.load(resolve_components("ours")[0]).schedule["prediction_type"] == "v_prediction"
    assert resolve_components("ours") == (folder / "view", folder / "surface")


def test_loftr_is_installed_where_the_elevation_estimation_finds_it(tmp_path):
    folder = add(write_loftr(tmp_path / "indoor_ds_new.ckpt"), None, False, quiet)
    assert loftr.find_weights() == folder / "model.safetensors" and loftr.load_network(folder / "model.safetensors")
    with pytest.raises(UserError, match="loftr"):
        add(tmp_path / "indoor_ds_new.ckpt", "matcher", False, quiet)


def test_rembg_model_is_installed_where_the_preprocessing_finds_it(tmp_path, monkeypatch):
    for name in ("U2NET_HOME", "REMBG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    data = TEST_DATA / "foreground"
    shutil.copy(data / "relu_320.onnx", tmp_path / "u2net.onnx")
    image = np.random.default_rng(0).random((40, 40, 3), np.float32)
    assert rembg.load_predictor() is None
    add(tmp_path / "u2net.onnx", None, False, quiet)
    predictor = rembg.load_predictor()
    assert predictor is not None and predictor.predict(image).alpha.shape == (40, 40)
    for name, content in (("silueta.onnx", "relu_1024.onnx"), ("mine.onnx", "relu_320.onnx")):
        shutil.copy(data / content, tmp_path / name)
        with pytest.raises(UserError, match=name.partition(".")[0]):
            add(tmp_path / name, None, False, quiet)
    assert list(installed_weights()) == ["u2net"]


def test_text_to_image_folder_is_installed_without_pickles_and_code(tmp_path):
    source = write_text_to_image(tmp_path / "model")
    folder = add(source, None, False, quiet)
    assert installed_weights()["model"].kind == "text-to-image"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert "model_index.json" in files and "unet/diffusion_pytorch_model.safetensors" in files
    assert not [name for name in files if name.endswith((".bin", ".py", ".fp16.safetensors"))]
    (source / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="vae contains pickle files"):
        add(source, "second", False, quiet)
    shutil.rmtree(source / "unet")
    with pytest.raises(UserError, match="is missing its folder unet"):
        add(source, "third", False, quiet)
    assert list(installed_weights()) == ["model"]


@pytest.mark.parametrize(
    "index",
    ["[]", '{"_class_name": NaN}', '{"_class_name": "A"}', '{"_class_name": "A", "unet": []}', '{"unet": ["a", "b"]}'],
)
def test_index_that_names_no_model_is_refused(index, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text(index)
    with pytest.raises(UserError, match=r"model_index\.json is damaged"):
        add(tmp_path / "model", None, False, quiet)
    assert installed_weights() == {}


def test_names_that_are_taken_or_invalid_are_refused(view, tmp_path):
    source = write_diffusers(tmp_path / "mine", view)
    add(source, None, False, quiet)
    for name, phrase in (
        ("mine", "already"),
        ("starter", "not a valid name"),
        ("../out", "not a valid name"),
        ("one2345", "other weights"),
    ):
        with pytest.raises(UserError, match=phrase):
            add(source, name, False, quiet)


def test_disk_that_is_too_full_is_noticed_before_anything_is_written(view, tmp_path, monkeypatch):
    source = write_diffusers(tmp_path / "mine", view)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(registry.shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"needs 0\.0\d GB.*free some space") as caught:
        add(source, None, False, quiet)
    assert caught.value.code == "disk_full" and not list(weights_folder().iterdir())


def test_cancellation_leaves_nothing(view, tmp_path):
    source = write_diffusers(tmp_path / "mine", view)

    def stop(event: ProgressEvent) -> None:
        if event.text.startswith("Writing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(source, None, False, stop)
    assert not list(weights_folder().iterdir())


def test_convert_writes_what_would_be_installed(view, tmp_path):
    ckpt = write_lightning(tmp_path / "zero123-xl.ckpt", original_state(view))
    convert(ckpt, tmp_path / "out", False, quiet)
    assert Zero123.load(tmp_path / "out" / "view")
    with pytest.raises(UserError, match="already exists"):
        convert(ckpt, tmp_path / "out", False, quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "zero123-xl.ckpt"]


def test_command_line_lists_verifies_and_removes(tmp_path, home):
    """Listing, checking and removing need nothing but a bare Python; each failure is one sentence."""
    file = write_surface_checkpoint(tmp_path / "ckpt_215000.pth")
    done = command("add", str(file))
    assert done.returncode == 0 and "%" in done.stderr, done.stderr
    bare = [sys.executable, "-S", "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})"]
    bare[-1] += "; from backend.__main__ import main; sys.exit(main(sys.argv[1:]))"

    def light(*arguments: str):
        return subprocess.run([*bare, "weights", *arguments], capture_output=True, text=True, timeout=60)

    listed = light("list")
    assert listed.returncode == 0 and "installed" in listed.stdout and "non-commercial" in listed.stdout
    assert light("verify").stdout == "one2345: good\n"
    damaged = weights_folder() / "one2345" / "surface" / "model.safetensors"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    (damaged.parent / "stranger").write_text("")
    verified = light("verify", "one2345")
    assert (
        verified.returncode == 1
        and "surface/model.safetensors is damaged" in verified.stdout
        and "stranger" in verified.stdout
    )
    assert light("remove", "one2345").returncode == 0 and not list(weights_folder().iterdir())
    for arguments in (["remove", "one2345"], ["verify", "nothing"]):
        refused = light(*arguments)
        assert refused.returncode == 1 and refused.stderr.strip().startswith("error: No weights named")
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"PK\5\6" + b"\0" * 18, b"hello", "ünï".encode()])
@pytest.mark.parametrize("ending", ["ckpt", "pth", "safetensors", "onnx"])
def test_files_that_are_no_weights_give_one_sentence(tmp_path, content, ending):
    path = tmp_path / f"u2net.{ending}"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        add(path, None, False, quiet)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
    assert not weights_folder().exists() or not list(weights_folder().iterdir())


def test_paths_that_are_missing_or_empty_give_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(UserError, match=path.name):
            add(path, None, False, quiet)
