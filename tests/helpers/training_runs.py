"""What the tests of the training share: a view model of 16 x 16 images, a short run, and an object."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers.models.clip import CLIPVisionConfig, CLIPVisionModelWithProjection

from backend.views.zero123.conditioning import build_elevation_head
from backend.views.zero123.joint_attention import use_joint_attention
from backend.views.zero123.model import Zero123
from objects.pack import TexturedObject
from training.cameras import view_count
from training.config import JointViewsConfig, SurfaceConfig, load_config

CONFIG = Path(__file__).parents[2] / "training" / "config" / "joint_views.toml"
SURFACE_CONFIG = CONFIG.with_name("surface.toml")
PLAN = load_config(JointViewsConfig, CONFIG).view_plan
"""Of the short runs' views."""
VIEWS = view_count(PLAN)
"""The input and the plan's."""
SHORT_RUN = (
    "scenes_per_step=2 scenes_per_chunk=1 initial_scenes=1 buffer_scenes=1 scene_reuse=100.0 steps=6 warmup_steps=2 "
    "object_share=1.0"
)
SHORT_SURFACE_RUN = (
    "scenes_per_step=2 scenes_per_chunk=1 initial_scenes=1 buffer_scenes=2 scene_reuse=4.0 steps=5 warmup_steps=2 "
    "object_share=1.0 plan_share=1.0 generated_share=1.0 generation_steps=1 many_views=[10,11] many_views_share=0.5"
)
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
CUBE_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], np.int32,
)  # fmt: skip
SCHEDULE = {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}


def log_rows(folder: Path) -> list[dict]:
    """The rows of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def short_run() -> JointViewsConfig:
    return load_config(JointViewsConfig, CONFIG, SHORT_RUN.split())


def short_surface_run() -> SurfaceConfig:
    return load_config(SurfaceConfig, SURFACE_CONFIG, [*SHORT_SURFACE_RUN.split(), f'view_plan="{PLAN}"'])


def joint_model() -> Zero123:
    """Random weights, the same each time."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=4, in_channels=8, out_channels=4, layers_per_block=1, block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=24, attention_head_dim=2, norm_num_groups=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=4, norm_num_groups=8, scaling_factor=1.0,
    )  # fmt: skip
    vision = CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
                              image_size=16, patch_size=16, projection_dim=20)  # fmt: skip
    encoder = CLIPVisionModelWithProjection(vision)
    model = Zero123(unet, vae, encoder, nn.Linear(24, 24), SCHEDULE, build_elevation_head([20, 8, 2]))
    use_joint_attention(model.unet, VIEWS)
    return model


def cube(number: int, scale=(1.0, 0.6, 0.3)) -> TexturedObject:
    rng = np.random.default_rng(number)
    texture = np.tile(rng.integers(0, 255, (1, 1, 3)), (32, 32, 1)).astype(np.uint8)
    return TexturedObject(number, CUBE * np.float32(scale), CUBE_FACES, rng.random((5, 2), np.float32),
                          rng.integers(0, 5, (12, 3)).astype(np.int32), texture)  # fmt: skip
