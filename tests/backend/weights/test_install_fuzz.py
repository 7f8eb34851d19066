"""Damaged and foreign files through the whole of ``weights add``: one sentence, nothing run, nothing half installed."""

from __future__ import annotations

import random
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.errors import UserError
from backend.paths import weights_folder
from backend.weights.install import add
from tests.helpers.cases import in_full, others_in_full
from tests.helpers.checkpoints import (
    original_state,
    view_modules,
    write_diffusers,
    write_lightning,
    write_surface_checkpoint,
)

FLIPS = 24


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Path]:
    """A good file or folder of every kind."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    modules = view_modules()
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in original_state(modules).items()
    }
    save_file(state, folder / "state.safetensors")
    return {
        "ckpt": write_lightning(folder / "zero123-xl.ckpt", state),
        "pth": write_surface_checkpoint(folder / "ckpt_215000.pth"),
        "safetensors": folder / "state.safetensors",
        "folder": write_diffusers(folder / "zero123-diffusers", modules),
    }


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def attempt(path: Path) -> str | None:
    """The sentence that adding ``path`` fails with; None where it was installed. Nothing else may happen."""
    try:
        add(path, None, False, lambda *_: None)
        return None
    except UserError as error:
        sentence = str(error)
        assert sentence and "\n" not in sentence and "Traceback" not in sentence and len(sentence) < 500, sentence
        assert not list(weights_folder().iterdir() if weights_folder().exists() else []), sentence
        return sentence


def refusal(path: Path) -> str:
    """The sentence that adding ``path`` fails with."""
    sentence = attempt(path)
    assert sentence is not None
    return sentence


@pytest.mark.parametrize("kind", ["ckpt", "pth", "safetensors"])
@pytest.mark.parametrize("twentieth", others_in_full(range(20), 0, 4, 9, 14, 19))
def test_truncated_file_is_refused(whole, tmp_path, kind, twentieth):
    data = whole[kind].read_bytes()
    path = tmp_path / whole[kind].name
    path.write_bytes(data[: len(data) * twentieth // 20])
    assert path.name in refusal(path)


def header_offsets(path: Path) -> list[int]:
    """Offsets of bytes that say how a file is to be read, and not what its tensors hold."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        return list(range(8 + struct.unpack("<Q", data[:8])[0]))
    with zipfile.ZipFile(path) as archive:
        offsets = list(range(archive.start_dir, len(data)))
        for entry in archive.infolist():
            end = entry.header_offset + 30 + len(entry.filename)
            end += entry.compress_size if entry.filename.endswith(("data.pkl", "version", "byteorder")) else 0
            offsets += range(entry.header_offset, end)
    return offsets


@pytest.mark.parametrize("kind", ["pth", in_full("safetensors")])
def test_flipped_header_bits_are_refused_or_harmless(whole, tmp_path, kind):
    """What is installed in spite of it holds the very same numbers: the byte meant nothing (a date, say)."""
    chance = random.Random(0)
    data, offsets = whole[kind].read_bytes(), header_offsets(whole[kind])
    folder = add(whole[kind], None, False, lambda *_: None)
    good = {file.name: file.read_bytes() for file in folder.rglob("*.safetensors")}
    folder.rename(tmp_path / "good")
    refused = 0
    for number in range(FLIPS):
        damaged = bytearray(data)
        for _ in range(1 if number % 2 else 3):
            damaged[chance.choice(offsets)] ^= 1 << chance.randrange(8)
        path = tmp_path / f"{number}{whole[kind].suffix}"
        path.write_bytes(damaged)
        if attempt(path) is not None:
            refused += 1
            continue
        (installed,) = weights_folder().iterdir()
        assert {file.name: file.read_bytes() for file in installed.rglob("*.safetensors")} == good, number
        installed.rename(tmp_path / f"installed {number}")
    assert refused > FLIPS / 4


def _drop(tensors):
    tensors.pop(sorted(tensors)[0])


def _add(tensors):
    tensors["stranger"] = torch.ones(2)


def _reshape(tensors):
    name = sorted(tensors)[0]
    tensors[name] = torch.ones(*tensors[name].shape, 1)


def _integers(tensors):
    name = sorted(tensors)[0]
    tensors[name] = tensors[name].to(torch.int32)


def _empty(tensors):
    tensors.clear()


@pytest.mark.parametrize("change", [_drop, _add, _reshape, _integers, _empty])
@pytest.mark.parametrize("component", ["unet", "vae", "image_encoder", "clip_camera_projection"])
def test_component_that_does_not_fit_is_named(whole, tmp_path, change, component):
    source = copy_with_links(whole["folder"], tmp_path / "source")
    (file,) = (source / component).glob("*.safetensors")
    tensors = load_file(file)
    change(tensors)
    file.unlink()
    save_file(tensors, file)
    assert component in refusal(source)


@pytest.mark.parametrize("twentieth", (0, 9, 19))
@pytest.mark.parametrize("component", ["unet", "vae", "image_encoder", "clip_camera_projection"])
def test_component_that_is_truncated_is_named(whole, tmp_path, component, twentieth):
    source = copy_with_links(whole["folder"], tmp_path / "source")
    (file,) = (source / component).glob("*.safetensors")
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[: len(data) * twentieth // 20])
    assert component in refusal(source)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"hidden_size": "x"}', '{"block_out_channels": [7]}'])
@pytest.mark.parametrize("component", ["unet", "vae", "image_encoder"])
def test_config_that_is_nonsense_is_named(whole, tmp_path, component, content):
    source = copy_with_links(whole["folder"], tmp_path / "source")
    (source / component / "config.json").unlink()
    (source / component / "config.json").write_text(content)
    assert component in refusal(source)


def test_components_that_are_swapped_or_missing_are_named(whole, tmp_path):
    source = copy_with_links(whole["folder"], tmp_path / "source")
    name = "diffusion_pytorch_model.safetensors"
    (source / "unet" / name).rename(source / "moved")
    (source / "vae" / name).rename(source / "unet" / name)
    assert "vae" in refusal(source)
    (source / "moved").rename(source / "vae" / name)
    assert "unet" in refusal(source)


@pytest.mark.parametrize("change", [_drop, _add, _reshape, _integers, _empty])
@pytest.mark.parametrize("network", ["pyramid_feature_network", "sdf_network_lod0", "rendering_network_lod0"])
def test_surface_checkpoint_that_does_not_fit_is_refused(whole, tmp_path, change, network):
    content = torch.load(whole["pth"], weights_only=True)
    change(content[network])
    path = tmp_path / "ckpt_215000.pth"
    torch.save(content, path)
    assert path.name in refusal(path)


@pytest.mark.parametrize(
    "content", [3, None, [], "x", {}, {"a": 3}, {"state_dict": 3}, {3: torch.ones(1)}, torch.ones(3)]
)
def test_pickle_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "weights.ckpt"
    torch.save(content, path)
    assert path.name in refusal(path)


def copy_with_links(source: Path, target: Path) -> Path:
    """A copy whose files share their content with the original until they are replaced."""
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).hardlink_to(path)
    return target
