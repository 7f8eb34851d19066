"""Original Zero123 checkpoints become diffusers folders: every name, the averaged weights, no code run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from backend.camera import LOWER_RING
from backend.config import resolve_options
from backend.errors import UserError
from backend.io.image import load_image
from backend.options import Options
from backend.pipeline import Pipeline
from backend.preprocessing.foreground import cut_out
from backend.progress import ignore_progress
from backend.views.independent import ViewSampler
from backend.views.zero123 import convert as conversion
from backend.views.zero123.convert import convert
from backend.views.zero123.model import Zero123
from tests.helpers.checkpoints import AVERAGE_SHIFT, LIST, original_state, view_modules, write_lightning
from tests.helpers.images import shaded_disc

STEMS = {"image_encoder": "model"}


@pytest.fixture(scope="module")
def modules():
    torch.set_num_threads(1)
    return view_modules()


@pytest.fixture(scope="module")
def state(modules):
    return original_state(modules)


@pytest.fixture(scope="module")
def checkpoint(state, tmp_path_factory):
    return write_lightning(tmp_path_factory.mktemp("public") / "zero123-xl.ckpt", state)


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "view"
    fractions = []
    convert(checkpoint, folder, on_progress=fractions.append)
    assert fractions[-1] == 1 and fractions == sorted(fractions)
    return folder


def written(folder, component):
    return load_file(folder / component / f"{STEMS.get(component, 'diffusion_pytorch_model')}.safetensors")


def test_tensors_all_arrive_and_the_unet_is_the_averaged_one(modules, folder):
    for component, module in modules.items():
        expected = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith("position_ids")}
        tensors = written(folder, component)
        assert tensors.keys() == expected.keys()
        shift = AVERAGE_SHIFT if component == "unet" else 0.0
        assert all(torch.equal(tensors[name], expected[name] + shift) for name in expected), component


def test_folder_loads_and_computes_what_the_modules_compute(modules, folder):
    model = Zero123.load(folder)
    assert model.schedule["beta_start"] == 0.00085 and model.schedule["beta_end"] == 0.012
    assert not model.uses_source_elevation and model.image_size == 256
    pixels = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        expected = modules["image_encoder"](pixel_values=pixels).image_embeds
        assert (model.image_encoder(pixel_values=pixels).image_embeds - expected).abs().max() < 1e-6
        image = torch.rand(1, 3, 64, 64) * 2 - 1
        assert torch.allclose(model.encode(image), modules["vae"].encode(image).latent_dist.mode(), atol=1e-5)


def test_keys_and_shapes_fit_at_full_size():
    """All 1,328 tensors, by a list that was made with the original code, on the meta device."""
    kinds = {name: getattr(torch, name) for name in ("float32", "int32")}
    meta = {
        name: torch.empty(shape, dtype=kinds[kind], device="meta") for name, (kind, shape) in LIST["original"].items()
    }
    modules = conversion._build_modules(meta, "zero123-xl.ckpt")
    plan = conversion._plan(modules, meta, "zero123-xl.ckpt")
    count = 0
    for component, expected in LIST["names"].items():
        assert plan[component].keys() == expected.keys()
        shapes = {
            name: list(tensor.shape) for name, tensor in modules[component].state_dict().items() if name in expected
        }
        assert shapes == {name: shape for name, (_, shape) in LIST["diffusers"][component].items()}
        for name, (key, transform) in plan[component].items():
            known = expected[name]
            assert key == (known["ema"] if isinstance(known, dict) else known if isinstance(known, str) else known[0])
            assert list((transform(meta[key]) if transform else meta[key]).shape) == shapes[name]
            count += 1
    assert count == 1328


def test_raw_weights_are_used_without_averages(modules, state, tmp_path):
    raw = {name: tensor for name, tensor in state.items() if not name.startswith("model_ema.")}
    torch.save(raw, tmp_path / "pruned.ckpt")  # and without Lightning's frame
    convert(tmp_path / "pruned.ckpt", tmp_path / "view")
    name = "conv_in.weight"
    assert torch.equal(written(tmp_path / "view", "unet")[name], modules["unet"].state_dict()[name])


def test_half_rounds_to_16_bits(checkpoint, folder, tmp_path):
    convert(checkpoint, tmp_path / "view", half=True)
    small, full = written(tmp_path / "view", "vae"), written(folder, "vae")
    assert all(torch.equal(small[name], full[name].half()) for name in full)
    Zero123.load(tmp_path / "view")


def test_stable_zero123_receives_the_polar_angle_of_each_source(checkpoint, folder, tmp_path):
    convert(checkpoint, tmp_path / "view", uses_source_elevation=True)
    assert json.loads((tmp_path / "view" / "view.json").read_text())["uses_source_elevation"]
    moves, polars = np.array([[0.0, 90.0], [30.0, 30.0]]), np.array([75.0, 105.0])
    stable, plain = Zero123.load(tmp_path / "view"), Zero123.load(folder)
    assert stable.uses_source_elevation
    assert np.allclose(stable.pose(moves, polars)[:, 3], np.radians(polars))
    assert np.allclose(stable.pose(moves, polars)[:, :3], plain.pose(moves, polars)[:, :3])
    assert (plain.pose(moves, polars)[:, 3] == 0).all()


def test_stable_zero123_needs_the_elevation_and_the_job_passes_it_on(weights, tmp_path):
    folder = shutil.copytree(weights, tmp_path / "weights")
    conversion.mark_uses_source_elevation(folder / "view")
    path = tmp_path / "disc.png"
    Image.fromarray(shaded_disc(64, 64)).save(path)
    options = {"weights": str(folder), "device": "cpu", "faces": 500, "texture_size": 256}
    pipeline = Pipeline()
    job = path, tmp_path / "job", Options(**options), ignore_progress
    with pytest.raises(UserError, match="elevation"):
        pipeline.generate(*job)

    cutout = cut_out(load_image(path))
    model = Zero123.load(folder / "view")
    numbers, pose = [], model.pose
    model.pose = lambda *given: numbers.append(pose(*given)) or numbers[-1]
    config = replace(
        resolve_options(Options(), "cpu"), num_inference_steps=1, guidance_scale=1.0, num_views=8, elevation=20.0
    )
    sampler = ViewSampler(model, cutout, config)
    sampler.add_ring(LOWER_RING)
    sampler.add_neighbors(["4"])
    assert np.allclose(numbers[0][:, 3], np.radians(70)) and np.allclose(numbers[1][:, 3], np.radians(100))


def _without(name):
    return lambda state: state.pop(name)


def _with(name, tensor):
    return lambda state: state.update({name: tensor})


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        (_without("model_ema.diffusion_modelout2weight"), ["is missing", "out"]),
        (
            _without("first_stage_model.decoder.norm_out.bias"),
            ["is missing", "first_stage_model.decoder.norm_out.bias"],
        ),
        (_without("first_stage_model.encoder.down.3.block.0.conv2.weight"), ["is missing", "encoder.down.3"]),
        (_without("cond_stage_model.model.visual.proj"), ["is missing", "visual.proj"]),
        (
            _without("cond_stage_model.model.visual.transformer.resblocks.1.ln_2.bias"),
            ["is missing", "resblocks.1.ln_2.bias"],
        ),
        (_without("cc_projection.weight"), ["is missing", "cc_projection.weight"]),
        (_with("model_ema.diffusion_modelstranger", torch.ones(1)), ["has", "diffusion_modelstranger"]),
        (_with("first_stage_model.stranger.weight", torch.ones(1)), ["has", "first_stage_model.stranger.weight"]),
        (_with("stranger", torch.ones(1)), ["has", "stranger"]),
        (_with("cc_projection.bias", torch.ones(3)), ["cc_projection.bias", "3 instead of 64"]),
        (_with("cc_projection.weight", torch.ones(64)), ["wrong shape", "cc_projection.weight"]),
        (_with("cc_projection.weight", torch.ones(64, 70)), ["projection"]),
        (_with("model_ema.diffusion_modelinput_blocks000weight", torch.ones(1)), ["has"]),
        (_with("first_stage_model.quant_conv.weight", torch.ones(8, 8, 1, 2)), ["quant_conv", "8 x 8 x 1 x 2"]),
        (_with("cc_projection.bias", torch.full((64,), torch.nan)), ["cc_projection.bias", "floating-point"]),
        (_with("cc_projection.bias", torch.ones(64, dtype=torch.int64)), ["cc_projection.bias", "floating-point"]),
        (_with("cc_projection.bias", "text"), ["not a tensor", "cc_projection.bias"]),
        (_with("first_stage_model.encoder.down.0.block.0.conv2.weight", torch.ones(7, 7, 3, 3)), ["shapes"]),
    ],
)
def test_keys_that_do_not_fit_are_named(state, tmp_path, change, phrases):
    state = dict(state)
    change(state)
    path = tmp_path / "wrong.safetensors"  # read several times as fast as a pickle
    if all(isinstance(value, torch.Tensor) for value in state.values()):
        save_file(state, path)
    else:
        path = path.with_suffix(".ckpt")
        torch.save({"state_dict": state}, path)
    with pytest.raises(UserError) as caught:
        convert(path, tmp_path / "view")
        Zero123.load(tmp_path / "view")
    assert all(phrase in str(caught.value) for phrase in phrases), caught.value
    assert "\n" not in str(caught.value)


class Bomb:
    """A pickle that makes a folder when it is read by anything that runs pickles."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("position", ["beside", "inside", "zip", "plain"])
def test_pickle_with_code_is_refused_and_not_run(state, tmp_path, position):
    bomb = Bomb(tmp_path / "ran")
    path = tmp_path / "zero123-xl.ckpt"
    if position == "plain":
        path.write_bytes(pickle.dumps({"state_dict": {"model.diffusion_model.out.2.weight": bomb}}))
    else:
        content = {"state_dict": dict(state) | ({"model.diffusion_model.bomb": bomb} if position == "inside" else {})}
        content |= {"callbacks": bomb} if position == "beside" else {}
        if position == "zip":
            content["callbacks"] = {bomb.__class__: 1}
        torch.save(content, path)
    with pytest.raises(UserError) as caught:
        convert(path, tmp_path / "view")
    assert caught.value.code in ("weights_refused", "weights_broken") and str(path) in str(caught.value)
    assert not (tmp_path / "ran").exists() and not (tmp_path / "view").exists()
