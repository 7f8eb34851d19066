"""Files that are not what they seem, among the weights: said in a sentence that names the user's own path."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend import surface
from backend.errors import UserError
from backend.io.tensors import read_tensors
from backend.paths import weights_folder
from backend.progress import ProgressEvent
from backend.views.zero123.loading import load_components
from backend.weights import commands
from backend.weights.install import add
from backend.weights.registry import exclusive_weights, installed_weights, remove
from backend.weights.resolve import locate_weights
from tests.helpers.checkpoints import (
    original_state,
    view_modules,
    write_lightning,
    write_surface_checkpoint,
    write_text_to_image,
)
from tests.helpers.paths import ROOT

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
ADD = (
    "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); from backend.weights.install import add; "
    "add(Path(sys.argv[2]), sys.argv[3] or None, False, lambda event: print(event.text, flush=True))"
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))


def quiet(event: ProgressEvent) -> None:
    pass


IMPOSTORS = {
    "an LFS pointer": (POINTER.encode(), "Git LFS"),
    "a web page": (b"<!DOCTYPE html>\n<html>", "web page"),
    "a web page with a byte order mark": (b"\xef\xbb\xbf \n<HTML lang=de>", "web page"),
    "an empty file": (b"", "empty"),
    "a server's error": (b'{"error":"Repository not found"}', "error message"),
    "noise": (bytes(range(256)), "damaged"),
    "deep brackets": ((1 << 20).to_bytes(8, "little") + b"[" * (1 << 20), "damaged"),
}


@pytest.mark.parametrize("kind", IMPOSTORS)
@pytest.mark.parametrize("name", ["a.ckpt", "a.safetensors", "u2net.onnx"])
def test_file_that_is_no_weights_is_recognized(kind, name, tmp_path):
    content, words = IMPOSTORS[kind]
    path = tmp_path / name
    path.write_bytes(content)
    if name.endswith(".onnx") and words == "damaged":
        words = "not a usable model"
    with pytest.raises(UserError, match=words) as caught:
        add(path, None, False, quiet)
    assert name in str(caught.value) and ".partial" not in str(caught.value)
    assert not list(weights_folder().glob("[!.]*"))


@pytest.mark.parametrize(
    "component", ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "image_encoder/model"]
)
def test_clone_without_lfs_is_recognized_by_the_users_path(component, weights, tmp_path):
    source = shutil.copytree(weights / "view", tmp_path / "clone")
    (source / f"{component}.safetensors").write_text(POINTER)
    with pytest.raises(UserError, match="Git LFS") as caught:
        add(source, None, False, quiet)
    assert component in str(caught.value) and ".partial" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="makes FIFOs")
@pytest.mark.parametrize("name", ["weights.ckpt", "weights.safetensors", "u2net.onnx"])
def test_fifo_and_device_are_refused_at_once(name, tmp_path):
    os.mkfifo(tmp_path / name)
    for path in (tmp_path / name, Path("/dev/zero")):
        with pytest.raises(UserError, match="device or a pipe"):
            add(path, None, False, quiet)


def test_stable_diffusion_checkpoint_is_told_apart(tmp_path):
    state = original_state(view_modules())
    state = {name: tensor for name, tensor in state.items() if "cc_projection" not in name}
    path = write_lightning(tmp_path / "v1-5.ckpt", state)
    with pytest.raises(UserError, match="Stable Diffusion checkpoint, but not one of Zero123"):
        add(path, None, False, quiet)


def test_file_named_as_weights_points_to_add(tmp_path):
    path = tmp_path / "zero123-xl.ckpt"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match="is a file: install it"):
        locate_weights(str(path))


@pytest.mark.parametrize("path", ["~nobody-of-this-name/weights", "~nobody-of-this-name"])
def test_home_of_nobody_is_not_found(path):
    with pytest.raises(UserError, match="No weights named"):
        locate_weights(path)
    with pytest.raises(UserError, match="There is no file or folder"):
        add(Path(path), None, False, quiet)


def test_surface_checkpoint_is_refused_under_a_name_that_nothing_finds(tmp_path):
    path = write_surface_checkpoint(tmp_path / "mine.pth")
    with pytest.raises(UserError, match="one2345"):
        add(path, "mine", False, quiet)
    assert add(path, None, False, quiet).name == "one2345"


def test_what_is_special_is_said(tmp_path, capsys):
    """A file under a published name with another hash; no averaged weights; an option that does nothing."""
    state = {
        name: tensor for name, tensor in original_state(view_modules()).items() if not name.startswith("model_ema")
    }
    add(write_lightning(tmp_path / "zero123-xl.ckpt", state), None, False, quiet)
    add(write_surface_checkpoint(tmp_path / "ckpt_215000.pth"), None, True, quiet)
    installed = installed_weights()
    notes = " ".join(installed["zero123-xl-original"].notes)
    assert "not the published file" in notes and "no averaged (EMA) weights" in notes
    assert "MIT" not in installed["zero123-xl-original"].license
    assert "--half was ignored" in " ".join(installed["one2345"].notes)
    commands._list()
    listed = capsys.readouterr().out
    assert "starter" in listed and "CC BY 4.0" in listed and "--half was ignored" in listed
    assert all(len(line) <= 120 for line in listed.splitlines())


BROKEN = {
    "nan": lambda tensor: tensor.float().fill_(torch.nan),
    "infinite": lambda tensor: tensor.float().fill_(torch.inf),
    "one nan": lambda tensor: torch.cat([tensor.float().flatten()[:-1], torch.tensor([torch.nan])]).view(tensor.shape),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("part", ["surface", "view/unet", "view/image_encoder"])
def test_numbers_that_are_none_are_refused(kind, part, weights, tmp_path):
    folder = shutil.copytree(weights, tmp_path / "weights")
    (path,) = (folder / part).glob("*.safetensors")
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if name.endswith("bias"))
    save_file(tensors | {name: BROKEN[kind](tensors[name])}, path)
    with pytest.raises(UserError, match="NaN or infinite") as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a":' * 50_000, "[]", "3", '"text"', "{}", "\x00", '{"depths": "a"}']
)
@pytest.mark.parametrize("part", ["surface/config.json", "view/unet/config.json", "view/view.json"])
def test_config_of_any_content_is_refused_or_harmless(content, part, weights, tmp_path):
    folder = shutil.copytree(weights, tmp_path / "weights")
    (folder / part).write_text(content)
    for load in (lambda: surface.load(folder / "surface"), lambda: load_components(folder / "view")):
        try:
            load()
        except UserError as error:
            assert len(str(error)) < 500


def test_two_writers_of_the_weights_wait_for_each_other(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    source = write_text_to_image(tmp_path / "model")  # which is not loaded, so that diffusers is not imported
    command = [sys.executable, "-c", ADD, str(ROOT), str(source)]
    with exclusive_weights(lambda: pytest.fail("nobody else is there")):
        with pytest.raises(UserError, match="Another process"):
            (weights_folder() / "old").mkdir()
            remove("old")
        both = [subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, text=True) for name in "ab"]
        for process in both:
            while "Waiting" not in process.stdout.readline():
                assert process.poll() is None
        assert not (weights_folder() / "a").exists()
    for process in both:
        process.communicate(timeout=120)
        assert process.returncode == 0
    for name in "ab":
        manifest = json.loads((weights_folder() / name / "weights.json").read_text())
        assert all((weights_folder() / name / file).is_file() for file in manifest["files"])
    assert sorted(path.name for path in weights_folder().iterdir()) == ["a", "b", "old"]
