"""What a training run is: read from a TOML file, changed on the command line, stored in every checkpoint."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from backend.camera import JOINT_PLANS


@dataclass(frozen=True)
class RunConfig:
    """What the runs of ``training.joint_views`` and ``training.surface`` have in common."""

    run: str
    """Name of the run; all random numbers follow from it and the step."""
    initial_weights: str
    """"starter", or a folder of weights."""
    steps: int
    """Length of the learning rate's schedule."""
    warmup_steps: int
    scenes_per_step: int
    """Batch size over all GPUs."""
    optimizer: str
    """"adamw", or "muon": Muon for the weights of layers, AdamW for the rest (``optimizer``)."""
    learning_rate: float
    adam_betas: tuple[float, float]
    weight_decay: float
    ema_decay: float
    object_share: float
    """Share of scenes that show objects of packs; the rest are procedural."""
    realistic_weight: float
    """How often realistic objects are sampled; stylized ones: once."""
    joined_share: float
    """Share of scenes that get a second object, where the two can be joined."""
    pattern_share: float
    """Share of the one-colored objects of packs that get a pattern; of others fewer, the more colors the fewer."""
    lit_share: float
    """Share of inputs in other light than the views that are to be generated of them (``lighting``)."""
    degraded_share: float
    """Share of inputs that look cut out of a photograph badly."""
    view_plan: str
    """The plan of ``backend.camera.JOINT_PLANS`` that the weights are trained for: the views beside the input."""
    plan_share: float
    """Share of scenes seen from the plan's cameras; the rest are seen from as many random ones."""
    scene_reuse: float
    """Average number of times that a scene is sampled before a new one replaces it."""
    scenes_per_chunk: int
    """Scenes rendered together."""
    initial_scenes: int
    """Scenes in memory before the first step, over all GPUs."""
    buffer_scenes: int
    """Most scenes in memory, over all GPUs."""

    def __post_init__(self) -> None:
        if self.view_plan not in JOINT_PLANS:
            plans = " or ".join(f'"{plan}"' for plan in JOINT_PLANS)
            raise ValueError(f"the configuration names the plan of views {self.view_plan}: choose {plans}")


@dataclass(frozen=True)
class JointViewsConfig(RunConfig):
    """A run of ``training.joint_views``; the values of record are in ``config/joint_views.toml``. A scene is the input
    and all its views; the initial weights may be "untrained" too."""

    transformer_layers: int
    """Transformer blocks in each of the UNet's transformers; those that the initial weights lack start as identity."""
    elevation_loss_weight: float
    timestep_shift: float
    """The signal-to-noise ratio of a uniformly sampled timestep is divided by the square of this."""
    condition_dropout: float
    """Share of scenes trained without any condition, for classifier-free guidance."""
    learned_guidance_scale: float
    """Scale of the guidance whose result the conditioned prediction learns to be (1: none)."""
    extra_clean_views: tuple[float, ...]
    """Probabilities of 0, 1, 2, ... views given clean besides the input."""
    tone_share: float
    """Share of scenes with changed tones (``input_augmentation``)."""
    lens_share: float
    """Share of objects of packs whose input was taken with another lens."""


@dataclass(frozen=True)
class SurfaceConfig(RunConfig):
    """A run of ``training.surface``; the values of record are in ``config/surface.toml``. Its objects of packs are
    solid; the initial weights may be a checkpoint too."""

    resolution: int
    """Voxels along a side of the volume; the initial weights may have been trained with others."""
    gradient_loss_weight: float
    """Of the error of the distances' slopes, beside the errors of the distances."""
    elevation_noise_deg: float
    """Scale of the Laplace distribution by which the elevation of half of the samples is wrong."""
    generated_share: float
    """Share of the scenes seen from the plan whose views are generated, all but the input."""
    generation_steps: int
    guidance_scale: float
    many_views: tuple[int, ...]
    """Numbers of true views shown in a few of the steps, instead of the plan's."""
    many_views_share: float
    """Share of those steps."""


@dataclass(frozen=True)
class VaeConfig:
    """A run of ``training.vae``; the values of record are in ``config/vae.toml`` and ``config/decoder.toml``."""

    run: str
    """Name of the run; all random numbers follow from it."""
    initial_weights: str
    """"starter" or "untrained"."""
    train_encoder: bool
    steps: int
    warmup_steps: int
    images_per_step: int
    """Over all GPUs."""
    learning_rate: float
    kl_weight: float
    """Of the posterior's divergence from a standard normal distribution, where the encoder is trained."""
    latent_noise: float
    """Largest standard deviation of the noise added to latents: generated ones have some."""
    mask_weight: float
    scenes: str
    """The configuration of ``training.joint_views`` whose scenes are used, beside this one."""
    buffer_scenes: int
    """Scenes in memory, over all GPUs; training starts with half of them."""
    scene_reuse: float
    """How often a picture is sampled before a new one replaces it, on average."""


_CONFIG_TYPES = JointViewsConfig, SurfaceConfig
_Config = TypeVar("_Config", JointViewsConfig, SurfaceConfig, VaeConfig)


def load_config(config_type: type[_Config], path: str | Path, overrides: Sequence[str] = ()) -> _Config:
    """The configuration in a TOML file, changed by ``overrides`` such as "steps=500". Raises ValueError."""
    with open(path, "rb") as file:
        values = tomllib.load(file)
    for override in overrides:
        values |= tomllib.loads(override)
    names = _field_names(config_type)
    if names != set(values):
        raise ValueError(f"the configuration lacks {names - set(values) or 'nothing'} and has {set(values) - names}")
    return config_type(**_with_tuples(values))


def config_from_dict(values: dict[str, Any]) -> RunConfig:
    """The configuration whose fields ``values`` are. Raises ValueError where they are those of none, or bad ones."""
    for config_type in _CONFIG_TYPES:
        if _field_names(config_type) == set(values):
            return config_type(**_with_tuples(values))
    raise ValueError(f"no training run is configured by {', '.join(sorted(values))}")


def _field_names(config_type: type[RunConfig] | type[VaeConfig]) -> set[str]:
    return {field.name for field in dataclasses.fields(config_type)}


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def derive_seed(run: str, step: int, rank: int, purpose: str) -> int:
    """A 62-bit seed, different for every run, step, process and purpose."""
    text = "/".join((run, str(step), str(rank), purpose)).encode()
    low, high = np.random.SeedSequence(list(text)).generate_state(2)
    return (int(high) << 32 | int(low)) >> 2
