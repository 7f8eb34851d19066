"""The same views with little memory; what is on the GPU, and when (on a CUDA GPU only)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from backend.config import resolve_options
from backend.data_types import Elevation, SampledViews
from backend.device import choose_dtype
from backend.io.image import load_image
from backend.options import Options
from backend.pipeline import Pipeline
from backend.preprocessing.foreground import cut_out
from backend.progress import ignore_progress
from backend.views.independent import IndependentViewModel
from backend.views.zero123.model import Zero123
from tests.helpers.devices import DEVICES
from tests.helpers.images import shaded_disc


def sample_views(model: Zero123) -> SampledViews:
    """All forty, which with little memory take other batches."""
    config = replace(resolve_options(Options(elevation=20.0), "cpu"), num_inference_steps=3, num_views=40)
    elevation = Elevation(20.0, 1.0, "given")
    cutout = cut_out(load_image(shaded_disc()))
    return IndependentViewModel(model).sample_views(cutout, [], lambda predict, near: elevation, config)


@pytest.mark.parametrize("device", DEVICES)
def test_views_are_the_same(weights, device, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # else a GPU rounds to 10 bits, by batch size
    plain, low = (Zero123.load(weights / "view", device, low_memory=low_memory) for low_memory in (False, True))
    sizes = []
    low.unet.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    expected, actual = sample_views(plain), sample_views(low)
    assert max(sizes) == 16, "eight views and as many without guidance"
    assert actual.views.names == expected.views.names and not actual.ran_out_of_memory
    np.testing.assert_allclose(actual.views.images, expected.views.images, atol=1e-4)
    again = sample_views(low)
    np.testing.assert_array_equal(again.views.images, actual.views.images)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_only_the_network_that_works_is_on_the_gpu(weights):
    device = torch.device("cuda")
    model = Zero123.load(weights / "view", device, choose_dtype(device), low_memory=True)
    stages = {"encode": model.encoders, "denoise": (model.unet,), "decode": model.decoders}
    seen = []

    def places() -> dict[str, str]:
        return {
            stage: next(network.parameters()).device.type for stage, networks in stages.items() for network in networks
        }

    for networks in stages.values():
        networks[0].register_forward_pre_hook(lambda *_: seen.append(places()))
    addresses = [weight.data_ptr() for weight in model.unet.parameters()]
    sample_views(model)
    everywhere = dict.fromkeys(stages, "cpu")
    assert places() == everywhere
    for stage in stages:
        assert everywhere | {stage: "cuda"} in seen
    assert all(list(each.values()).count("cuda") == 1 for each in seen)
    assert [weight.data_ptr() for weight in model.unet.parameters()] == addresses, "nothing was copied back"


def test_job_that_ran_out_of_memory_says_so(weights, tmp_path, monkeypatch):
    Image.fromarray(shaded_disc()).save(tmp_path / "disc.png")
    options = Options(weights=str(weights), device="cpu", elevation=20.0, faces=500, texture_size=256)
    pipeline = Pipeline()
    model = pipeline.load(options.weights, torch.device("cpu")).views.model
    decode = model.decode

    def decode_few(latents: torch.Tensor) -> torch.Tensor:
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode(latents)

    with monkeypatch.context() as patch:
        patch.setattr(model, "decode", decode_few)
        told = pipeline.generate(tmp_path / "disc.png", tmp_path / "job", options, ignore_progress)["report"]
    assert sum("memory ran out" in warning for warning in told["warnings"]) == 1
    again = pipeline.rebuild(tmp_path / "job", tmp_path / "again", options, ignore_progress, {"2": {"seed": 1}})
    assert not any("memory ran out" in warning for warning in again["report"]["warnings"])
