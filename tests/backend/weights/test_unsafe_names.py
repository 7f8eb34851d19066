"""Names in weights folders, manifests and hub answers that would lead outside are refused, and nothing is written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from backend.errors import ErrorCode, UserError
from backend.paths import weights_folder
from backend.progress import ignore_progress
from backend.weights import download, registry
from backend.weights.install import add
from tests.helpers.checkpoints import original_state, view_modules, write_lightning, write_surface_checkpoint

OUTSIDE = ["../../../stolen", "..", "a/../../../stolen", "/stolen", "C:\\stolen", "..\\..\\stolen", "stolen\0", ""]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    torch.set_num_threads(1)
    home = tmp_path / "home"
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(home))
    weights_folder().mkdir(parents=True)
    return home


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every path below ``folder`` with the file's content."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def write_pipeline(folder: Path, **components: list) -> Path:
    """A text-to-image folder with a VAE, whose index also names ``components``."""
    (folder / "vae").mkdir(parents=True)
    save_file({"a": torch.ones(3)}, folder / "vae" / "diffusion_pytorch_model.safetensors")
    index = {"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    (folder / "model_index.json").write_text(json.dumps(index | components))
    return folder


def refuse(tmp_path: Path, source: Path) -> None:
    """Adding ``source`` fails with one sentence and changes no file anywhere."""
    before = snapshot(tmp_path)
    with pytest.raises(UserError) as refused:
        add(source, "evil", False, ignore_progress)
    assert refused.value.code == ErrorCode.UNSAFE_PATH and "\n" not in str(refused.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", OUTSIDE, ids=ascii)
def test_component_names_that_lead_outside_are_refused(tmp_path, name):
    source = write_pipeline(tmp_path / "a" / "b" / "c" / "model", **{name: ["diffusers", "Y"]})
    stolen = tmp_path / "a" / "stolen"
    stolen.mkdir()
    (stolen / "payload.desktop").write_text("[Desktop Entry]")
    refuse(tmp_path, source)


def test_component_that_is_a_link_to_the_outside_is_refused(tmp_path):
    source = write_pipeline(tmp_path / "model", unet=["diffusers", "UNet2DConditionModel"])
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("secret")
    (source / "unet").symlink_to(tmp_path / "private", target_is_directory=True)
    refuse(tmp_path, source)


@pytest.mark.parametrize("name", OUTSIDE, ids=ascii)
def test_shard_names_that_lead_outside_are_refused(tmp_path, name):
    source = write_pipeline(tmp_path / "model")
    index = {"metadata": {}, "weight_map": {"a": name}}
    (source / "vae" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    refuse(tmp_path, source)


@pytest.mark.parametrize("name", OUTSIDE, ids=ascii)
def test_manifest_that_names_files_outside_is_not_ours(home, name):
    folder = weights_folder() / "evil"
    folder.mkdir()
    files = {name: {"bytes": 0, "sha256": "0" * 64}}
    manifest = {"kind": "surface", "source": "", "license": "", "files": files}
    (folder / registry.MANIFEST).write_text(json.dumps(manifest))
    assert registry.installed_weights() == {}
    registry.remove("evil")
    assert not folder.exists() and home.is_dir()


@pytest.mark.parametrize("name", ["../weights", "..", ".", "/", "a/b", "", ".downloads", "starter", "x\0"])
def test_remove_takes_no_path(home, name):
    (weights_folder() / "a" / "b").mkdir(parents=True)
    (weights_folder() / ".downloads").mkdir()
    before = snapshot(home)
    with pytest.raises(UserError):
        registry.remove(name)
    assert snapshot(home) == before


def test_remove_deletes_a_link_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    (weights_folder() / "linked").symlink_to(tmp_path / "mine", target_is_directory=True)
    registry.remove("linked")
    assert (tmp_path / "mine" / "file").read_text() == "precious" and not list(weights_folder().iterdir())


def answer(monkeypatch, commit: object, name: str) -> None:
    """Let the hub's client return a repository with one file."""
    info = SimpleNamespace(sha=commit, siblings=[SimpleNamespace(rfilename=name, size=3, lfs=None)])
    monkeypatch.setattr(download.HfApi, "model_info", lambda *_, **__: info)


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name], ids=ascii)
def test_hub_file_names_that_lead_outside_are_refused(monkeypatch, name):
    answer(monkeypatch, "0" * 40, name)
    with pytest.raises(UserError) as refused:
        download.list_files("owner/name", ["*"])
    assert refused.value.code == ErrorCode.UNSAFE_PATH


@pytest.mark.parametrize("commit", ["../../stolen", "..", "", "/stolen", None, 3, "0" * 39, "main", "0" * 39 + "/"])
def test_hub_commits_that_are_none_are_refused(monkeypatch, commit):
    answer(monkeypatch, commit, "model.safetensors")
    with pytest.raises(UserError) as refused:
        download.list_files("owner/name", ["*"])
    assert refused.value.code == ErrorCode.DOWNLOAD_FAILED


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_installed_files_have_the_usual_permissions(tmp_path):
    file = write_surface_checkpoint(tmp_path / "ckpt_215000.pth")
    file.chmod(0o600)
    folders = [
        add(file, None, False, ignore_progress),
        add(
            write_lightning(tmp_path / "zero123-xl.ckpt", original_state(view_modules())), None, False, ignore_progress
        ),
        add(write_pipeline(tmp_path / "model"), None, False, ignore_progress),
    ]
    (tmp_path / "new").touch()
    usual = stat.S_IMODE((tmp_path / "new").stat().st_mode)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for folder in folders for path in folder.rglob("*")}
    assert {path: oct(mode) for path, mode in modes.items() if path.is_file() and mode != usual} == {}
