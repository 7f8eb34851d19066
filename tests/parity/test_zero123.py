"""The view model and its samplers against values of the original implementation (tests/data/zero123/README.md)."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.models.clip import CLIPVisionConfig, CLIPVisionModelWithProjection

from backend import camera
from backend.progress import ignore_progress
from backend.views.zero123.batches import Batches
from backend.views.zero123.conditioning import clip_pixel_values
from backend.views.zero123.model import Zero123
from backend.views.zero123.sampler import _encode, denoise, fast_scheduler, reference_scheduler
from tests.helpers.devices import DEVICES
from tests.helpers.paths import TEST_DATA

DATA = TEST_DATA / "zero123"
POSES = {
    "stage1_a": [(polar, azimuth) for _, polar, azimuth in camera.FIRST_RING],
    "stage1_b": [(polar, azimuth) for _, polar, azimuth in camera.LOWER_RING],
    "stage1_c": [(polar, azimuth) for _, polar, azimuth in camera.UPPER_RING],
    "stage2": list(camera.NEIGHBORS),
}
RUNS = json.loads((DATA / "runs.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The original's UNet and projection; its VAE and CLIP tower are too large to keep here and are random instead."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    for path in DATA.glob("model/*/*"):
        (folder / path.parent.name).mkdir(exist_ok=True)
        (folder / path.parent.name / path.name).write_bytes(path.read_bytes())
    vae = AutoencoderKL.from_config(json.loads((folder / "vae" / "config.json").read_text()))
    save_file(vae.half().state_dict(), folder / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    config = json.loads((folder / "image_encoder" / "config.json").read_text())
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
    save_file(encoder.half().state_dict(), folder / "image_encoder" / "model.fp16.safetensors")
    return folder


@pytest.fixture(scope="module", params=DEVICES)
def model(folder, request) -> Zero123:
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return Zero123.load(folder, request.param)


@pytest.fixture
def known(model) -> dict[str, torch.Tensor]:
    return load_file(DATA / "tensors.safetensors", str(model.device))


@pytest.fixture
def tolerance(model) -> float:
    """Of relative errors: what the original's own numbers allow on a CPU, five times that on a GPU."""
    return 1e-5 if model.device.type == "cpu" else 5e-5


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Root mean square error relative to the expected values'."""
    assert actual.shape == expected.shape
    return ((actual - expected).square().mean() / expected.square().mean()).sqrt().item()


def test_sizes_follow_the_configs(model):
    assert (model.image_size, model.latent_size, model.latent_channels) == (256, 32, 4)
    assert model.schedule["prediction_type"] == "epsilon"


def test_clip_sees_the_original_pixels(known):
    picture = np.asarray(Image.open(DATA / "input_256.png").convert("RGB"), np.float32) / 255
    pixels = clip_pixel_values(
        torch.from_numpy(picture).permute(2, 0, 1)[None].to(known["clip_embed"].device) * 2 - 1, 224
    )
    assert (pixels[..., ::8, ::8] - known["clip_pixel_values_every_8th"]).abs().max() < 1e-6


@pytest.mark.parametrize("name", POSES)
def test_poses_and_tokens(model, known, tolerance, name):
    poses = torch.from_numpy(camera.relative_pose(*np.transpose(POSES[name]))).to(model.device)
    assert (poses - known[f"T_{name}"][:, 0]).abs().max() < 1e-6
    with torch.inference_mode():
        tokens = model.tokens(known["clip_embed"][0].expand(4, -1), poses)
    assert relative(tokens, known[f"context_{name}"]) < tolerance


def test_condition_is_the_plain_embedding_and_the_unscaled_mean(model):
    images = torch.rand(2, 3, 256, 256, device=model.device) * 2 - 1
    with torch.inference_mode():
        latent, embedding = model.encode_condition(images)
        moments = model.vae.encode(images).latent_dist
        output = model.image_encoder(pixel_values=clip_pixel_values(images, 224))
    assert torch.equal(latent, moments.mean)
    assert torch.equal(embedding, output.image_embeds)


def test_condition_of_a_job_is_as_exact_as_the_number_format(model, tolerance):
    """A job's images have their channels last, where group norm on a CPU once lost four digits."""
    picture = np.asarray(Image.open(DATA / "input_256.png").convert("RGB"), np.float32)[None] / 255
    with torch.inference_mode():
        latent, _ = _encode(model, picture, Batches(1))
        images = torch.from_numpy(picture.transpose(0, 3, 1, 2).copy()).double().to(model.device) * 2 - 1
        exact = copy.deepcopy(model.vae).double().encode(images).latent_dist.mean
    assert relative(latent.double(), exact) < tolerance


def test_decoding_undoes_the_scale(model):
    latents = torch.randn(1, 4, 32, 32, device=model.device)
    with torch.inference_mode():
        assert torch.equal(model.decode(latents * 0.18215), model.vae.decode(latents * 0.18215 / 0.18215).sample)


@pytest.mark.parametrize(("branch", "share"), [("cond", 1), ("uncond", 0)])
def test_one_unet_call(model, known, tolerance, branch, share):
    latents, t = known["unet_in_latents"], known["unet_in_t"]
    tokens = known["context_stage1_b"][[0, 2]] * share
    with torch.inference_mode():
        actual = model.denoise(latents, t, known["cond_latent"].expand_as(latents) * share, tokens)
    assert relative(actual, known[f"unet_out_{branch}"]) < tolerance


@pytest.mark.parametrize("run", RUNS)
def test_whole_runs_of_the_original_sampler(model, known, tolerance, run):
    settings, letter = RUNS[run], run[-1]
    scheduler = reference_scheduler(model.schedule, 10)
    assert scheduler.timesteps.tolist() == settings["timesteps_executed"]
    noise = iter(known.get(f"{letter}_step_noise", []))
    steps = []
    with torch.inference_mode():
        latents = denoise(
            model,
            scheduler,
            known[f"{letter}_xT"],
            known["cond_latent"],
            known[f"context_{settings['pose_set']}"][:1],
            settings["guidance"],
            settings["eta"],
            noise,
            steps.append,
        )
    assert relative(latents, known[f"{letter}_latents"]) < tolerance
    assert steps == [step / 9 for step in range(1, 10)]
    assert next(noise, None) is None  # as much fresh noise as the original drew


@pytest.mark.parametrize(("asked", "plan"), json.loads((DATA / "ddim_plans.json").read_text()).items())
def test_steps_of_the_original_sampler(model, asked, plan):
    scheduler = reference_scheduler(model.schedule, int(asked))
    assert scheduler.timesteps.tolist() == plan["timesteps"]
    products = scheduler.alphas_cumprod
    stride = plan["stride"]
    previous = [products[t - stride] if t > stride else scheduler.final_alpha_cumprod for t in plan["timesteps"]]
    assert np.allclose(products[scheduler.timesteps], plan["alpha_bar"], rtol=1e-5)
    assert np.allclose(previous, plan["alpha_bar_prev"], rtol=1e-5)
    sigma = [scheduler._get_variance(t, t - stride) ** 0.5 for t in plan["timesteps"]]
    assert np.allclose(sigma, plan["sigma_eta1"], rtol=1e-4)


def test_the_fast_solver_converges(model, known):
    """Second order: twice the steps, a quarter of the error; a first-order solver would differ by a third here."""
    actual = []
    for steps in (8, 16):
        scheduler = fast_scheduler(model.schedule, steps)
        assert scheduler.timesteps[0] == 999
        with torch.inference_mode():
            token = known["context_stage1_a"][:1]
            args = (model, scheduler, known["a_xT"], known["cond_latent"], token, 1.0, None, iter([]), ignore_progress)
            actual.append(denoise(*args))
    assert relative(*actual) < 0.08
