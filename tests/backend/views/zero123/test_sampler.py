"""Loading and sampling with weights of every kind of folder, on a network small enough to run in moments."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backend import camera
from backend.config import resolve_options
from backend.data_types import Cutout
from backend.errors import UserError
from backend.io.tensors import read_tensors
from backend.options import Options
from backend.views.independent import ViewSampler
from backend.views.zero123.batches import Batches
from backend.views.zero123.conditioning import build_elevation_head
from backend.views.zero123.loading import STABLE_DIFFUSION_SCHEDULE
from backend.views.zero123.model import Zero123
from backend.views.zero123.sampler import sample
from tests.helpers.paths import TEST_DATA

WEIGHTS = "diffusion_pytorch_model"


@pytest.fixture(scope="module")
def original(weights) -> Path:
    torch.set_num_threads(1)
    return weights / "view"


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A copy to change."""
    return shutil.copytree(original, tmp_path / "view")


@pytest.fixture(scope="module")
def model(original) -> Zero123:
    return Zero123.load(original)


@pytest.fixture(scope="module")
def sources(model) -> np.ndarray:
    return np.random.default_rng(0).random((2, model.image_size, model.image_size, 3), np.float32)


POSES = camera.relative_pose([0, 0, 10, -10], [0, 90, 0, 180])


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_views_do_not_depend_on_the_batch_they_are_in(model, sources):
    one = sample(model, sources, POSES, 3, 3.0, generators(1, 2, 3, 4), source_of=[0, 1, 1, 0])
    assert one.shape == (4, model.image_size, model.image_size, 3)
    assert one.dtype == np.float32
    assert 0 <= one.min() < one.max() <= 1
    for batch in (1, 3):
        arguments = {"source_of": [0, 1, 1, 0], "batches": Batches(batch)}
        again = sample(model, sources, POSES, 3, 3.0, generators(1, 2, 3, 4), **arguments)
        assert np.abs(again - one).max() < 1e-3
    alone = sample(model, sources[1:], POSES[2:3], 3, 3.0, generators(3))
    assert np.abs(alone[0] - one[2]).max() < 1e-3


@pytest.mark.parametrize("eta", [None, 1.0])
def test_seed_source_and_pose_each_matter(model, sources, eta):
    def go(seed=1, source=0, pose=1, guidance=3.0):
        return sample(model, sources, POSES[[pose]], 4, guidance, generators(seed), source_of=[source], eta=eta)

    assert np.array_equal(go(), go())
    for other in (go(seed=2), go(source=1), go(pose=2), go(guidance=2.0)):
        assert np.abs(other - go()).mean() > 1e-4


def test_guidance_1_skips_the_unconditional_half(model, sources):
    seen = []
    hook = model.unet.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    sample(model, sources, POSES[:2], 2, 1.0, generators(1, 2))
    sample(model, sources, POSES[:2], 2, 3.0, generators(1, 2))
    hook.remove()
    channels, size = 2 * model.latent_channels, model.latent_size
    assert seen == [(2, channels, size, size)] * 2 + [(4, channels, size, size)] * 2


def test_every_step_is_reported_and_may_cancel(model, sources):
    fractions = []
    arguments = {"source_of": [0] * 4, "callback_on_step_end": fractions.append, "batches": Batches(3)}
    sample(model, sources, POSES, 3, 3.0, generators(1, 2, 3, 4), **arguments)
    assert fractions == pytest.approx([1 / 4, 2 / 4, 3 / 4, 10 / 12, 11 / 12, 1])  # of three views, then of one

    def cancel(fraction):
        if fraction > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        sample(model, sources, POSES[:2], 3, 3.0, generators(1, 2), callback_on_step_end=cancel)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("eta", [None, 1.0])
def test_no_step_waits_for_the_gpu(original, sources, eta):
    """PyTorch raises where it would wait, once the UNet's call is replayed."""
    model = Zero123.load(original, "cuda", torch.float16)
    fractions = []

    def on_step_end(fraction: float) -> None:
        fractions.append(fraction)
        torch.cuda.set_sync_debug_mode("error" if 0.4 < fraction < 0.9 else "default")

    arguments = {"source_of": [0, 1, 1, 0], "eta": eta, "callback_on_step_end": on_step_end}
    try:
        sample(model, sources, POSES, 10, 3.0, generators(1, 2, 3, 4), **arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(fractions) >= 9 and fractions[-1] == 1


@pytest.mark.parametrize("network", ["encode_condition", "denoise", "decode"])
@pytest.mark.parametrize(("fits", "expected"), [(2, [4, 2, 2]), (1, [4, 2, 1, 1, 1, 1]), (0, None)])
def test_out_of_memory_halves_the_batch_and_changes_no_view(model, sources, monkeypatch, network, fits, expected):
    sizes, call = [], getattr(model, network)

    def run() -> tuple[np.ndarray, bool]:
        batches = Batches(4)
        four = np.concatenate([sources, 1 - sources])
        return sample(model, four, POSES, 1, 1.0, generators(1, 2, 3, 4), batches=batches), batches.ran_out_of_memory

    def call_with_few(*args) -> object:
        sizes.append(len(args[0]))
        if len(args[0]) > fits:
            raise torch.OutOfMemoryError("out of memory")
        return call(*args)

    plain, ran_out_of_memory = run()
    assert not ran_out_of_memory
    monkeypatch.setattr(model, network, call_with_few)
    if expected is None:
        with pytest.raises(torch.OutOfMemoryError):
            run()
    else:
        views, ran_out_of_memory = run()
        np.testing.assert_allclose(views, plain, atol=1e-4)
        assert sizes == expected and ran_out_of_memory


def test_memory_that_runs_out_between_two_steps_changes_no_view(model, sources, monkeypatch):
    """The noise of the steps before is drawn again."""

    def run(batches: Batches) -> np.ndarray:
        arguments = {"source_of": [0] * 4, "eta": 1.0, "batches": batches}
        return sample(model, sources, POSES, 3, 3.0, generators(1, 2, 3, 4), **arguments)

    plain, sizes, denoise = run(Batches(4)), [], model.denoise

    def denoise_twice(*args) -> torch.Tensor:
        sizes.append(len(args[0]))
        if sizes == [8, 8]:
            raise torch.OutOfMemoryError("out of memory")
        return denoise(*args)

    monkeypatch.setattr(model, "denoise", denoise_twice)
    np.testing.assert_allclose(run(Batches(4)), plain, atol=1e-4)
    assert sizes == [8, 8, *[4] * 6]


def test_bfloat16_keeps_a_float32_vae_and_looks_the_same(original, model, sources):
    coarse = Zero123.load(original, dtype=torch.bfloat16)
    assert (coarse.unet.dtype, coarse.vae.dtype) == (torch.bfloat16, torch.float32)
    images = [sample(each, sources, POSES[:2], 3, 3.0, generators(1, 2)) for each in (coarse, model)]
    assert np.abs(images[0] - images[1]).mean() < 0.02


def test_cameras_of_the_view_plan(model):
    """All 40 of the original, for pictures from high up to below; its azimuths start 30 degrees further on."""
    known = json.loads((TEST_DATA / "zero123" / "view_plan_poses.json").read_text())
    blank = np.ones((64, 64, 4), np.float32)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(np.pi / 6), -np.sin(np.pi / 6)], [np.sin(np.pi / 6), np.cos(np.pi / 6)]]
    for polar, expected in known["by_estimated_polar"].items():
        config = replace(resolve_options(Options(), "cpu"), num_inference_steps=1, guidance_scale=1.0, num_views=40)
        sampler = ViewSampler(model, Cutout(blank, "alpha", (0, 0, 64)), config)
        sampler.add_ring(camera.FIRST_RING)
        sampler.add_ring(camera.second_ring(float(polar)))
        sampler.add_neighbors(sampler.stage_1)
        views = sampler.to_views(90.0 - float(polar))
        assert sorted(views.names[1:]) == sorted(Path(name).stem for name in expected["ids"])
        for name, pose in zip(expected["ids"], expected["c2w_3x4"], strict=True):
            actual = turn @ views.camera_to_world[views.names.index(Path(name).stem)]
            assert np.abs(actual[:3] - np.array(pose)).max() < 1e-6


def test_only_our_own_folders_bring_a_schedule(folder):
    ours = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    assert Zero123.load(folder).schedule == ours
    (folder / "view.json").unlink()
    assert Zero123.load(folder).schedule == STABLE_DIFFUSION_SCHEDULE


def test_averaged_weights_are_preferred(folder, model):
    tensors = {name: torch.zeros_like(tensor).half() for name, tensor in model.unet.state_dict().items()}
    save_file(tensors, folder / "unet" / f"{WEIGHTS}.fp16_ema.safetensors")
    assert Zero123.load(folder).unet.conv_in.weight.abs().max() == 0


def test_the_other_public_family_of_folders_loads(folder, model):
    """Pickles, another name for the projection, old names in the VAE, a leftover constant in the CLIP tower."""
    shutil.rmtree(folder / "clip_camera_projection")
    for name, module, stem in (
        ("unet", model.unet, WEIGHTS),
        ("vae", model.vae, WEIGHTS),
        ("image_encoder", model.image_encoder, "pytorch_model"),
        ("cc_projection", model.projection, WEIGHTS),
    ):
        tensors = module.state_dict()
        for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            if name == "vae":
                tensors = {key.replace(f".{new}.", f".{old}."): tensor for key, tensor in tensors.items()}
        if name == "image_encoder":
            tensors["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
        if name == "cc_projection":
            tensors = {f"projection.{key}": tensor for key, tensor in tensors.items()}
        (folder / name).mkdir(exist_ok=True)
        for path in (folder / name).glob("*.safetensors"):
            path.unlink()
        torch.save(tensors, folder / name / f"{stem}.bin")
    loaded = Zero123.load(folder)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_elevation_head(folder, model):
    head = build_elevation_head([20, 8, 2])
    torch.nn.init.zeros_(head[2].weight)
    head[2].bias = torch.nn.Parameter(torch.tensor([0.5, 2 * np.log(0.2)]))
    save_file(head.state_dict(), folder / "elevation.safetensors")
    (folder / "view.json").write_text(json.dumps({"elevation_head": [20, 8, 2]}))
    picture = np.ones((model.image_size, model.image_size, 3), np.float32)
    assert Zero123.load(folder).predict_elevation(picture) == pytest.approx((15.0, 6.0), rel=1e-5)
    assert model.predict_elevation(picture) is None


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _drop_one(path: Path) -> None:
    tensors = read_tensors(path)
    del tensors[next(iter(tensors))]
    save_file(tensors, path)


def _wider(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"in_channels": 10}))


@pytest.mark.parametrize(
    ("damage", "subfolder", "code"),
    [
        (shutil.rmtree, "", "weights_missing"),
        (shutil.rmtree, "clip_camera_projection", "weights_missing"),
        (Path.unlink, f"unet/{WEIGHTS}.safetensors", "weights_missing"),
        (Path.unlink, "image_encoder/config.json", "weights_missing"),
        (_cut, f"vae/{WEIGHTS}.safetensors", "weights_broken"),
        (_cut, "unet/config.json", "weights_broken"),
        (_cut, "scheduler/scheduler_config.json", "weights_broken"),
        (_drop_one, "image_encoder/model.safetensors", "weights_mismatch"),
        (_wider, "unet/config.json", "weights_mismatch"),
    ],
)
def test_a_damaged_folder_is_one_clear_sentence(folder, damage, subfolder, code):
    damage(folder / subfolder)
    with pytest.raises(UserError) as error:
        Zero123.load(folder)
    assert error.value.code == code
    assert "\n" not in str(error.value)


def test_a_truncated_pickle_is_one_clear_sentence(folder, model):
    (folder / "unet" / f"{WEIGHTS}.safetensors").unlink()
    path = folder / "unet" / f"{WEIGHTS}.bin"
    torch.save(model.unet.state_dict(), path)
    _cut(path)
    with pytest.raises(UserError) as error:
        Zero123.load(folder)
    assert error.value.code == "weights_broken"
