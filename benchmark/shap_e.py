"""Shap-E (arXiv 2305.02463) in diffusers, of the released size, with random numbers: how long it takes to a mesh.

The sizes are those of diffusers' conversion of the released weights; 64 steps of Heun's method, and a guidance scale of
3 for images and 15 for text, are those of its documentation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import HeunDiscreteScheduler, PriorTransformer, ShapEImg2ImgPipeline, ShapEPipeline
from diffusers.pipelines.shap_e.renderer import MeshDecoder, ShapERenderer
from torch import nn
from transformers.models.clip import CLIPTextConfig, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModel

from backend.io.image import load_image
from backend.preprocessing.canvas import resize_on_white
from backend.preprocessing.foreground import cut_out
from backend.views.zero123.conditioning import clip_pixel_values

from .gpu_timing import measured

STEPS = 64
IMAGE_SIZE = 224
TEXT_TOKENS = 77
VOCABULARY = 49408
INSIDE = 100.0
"""Added to the field everywhere, which is positive inside of things: far more than random weights make of it."""


@dataclass(frozen=True)
class ShapESize:
    """Widths and depths of the networks; heads are 64 numbers wide."""

    hidden: int = 256
    """Neurons in a layer of the field's perceptron. The prior makes a token for each row of four layers' weights."""
    width: int = 1024
    """Of the prior and its tokens."""
    layers: int = 24
    image_width: int = 1024
    image_layers: int = 24
    text_width: int = 768
    text_layers: int = 12


def measure_shap_e(image: Path) -> list[dict]:
    """A row for each kind of input: in 16 bits on a CUDA GPU, from the cutout of ``image`` or from text to a mesh."""
    rows = []
    for kind, make_run in (("image", image_to_mesh), ("text", text_to_mesh)):
        name = f"Shap-E, {kind} to mesh, {STEPS} steps, random weights"
        run = make_run(ShapESize(), image, STEPS, torch.device("cuda"), torch.float16)
        rows.append({"name": name, **measured(run), "vertices": len(run().verts)})
        print(f"{name}: {rows[-1]['median']:.2f} s", file=sys.stderr, flush=True)
    return rows


def image_to_mesh(
    size: ShapESize, image: Path, steps: int, device: torch.device, dtype: torch.dtype
) -> Callable[[], Any]:
    """What makes a mesh with colored vertices of the object in an image file, as diffusers returns it."""
    vision = CLIPVisionConfig(
        hidden_size=size.image_width,
        intermediate_size=4 * size.image_width,
        num_hidden_layers=size.image_layers,
        num_attention_heads=size.image_width // 64,
        image_size=IMAGE_SIZE,
        patch_size=14,
    )
    components: dict[str, Any] = {
        "prior": _build(partial(_prior, size, size.image_width, "layer"), device, dtype),
        "image_encoder": _build(lambda: CLIPVisionModel(vision), device, dtype),
        "image_processor": None,  # which tensors are not given to
        "scheduler": _scheduler(),
        "shap_e_renderer": _renderer(size, device, dtype),
    }
    pixels = torch.from_numpy(resize_on_white(cut_out(load_image(image)), IMAGE_SIZE)[0]).permute(2, 0, 1)[None]
    pixels = clip_pixel_values(pixels.to(device) * 2 - 1, IMAGE_SIZE)
    return partial(_run, ShapEImg2ImgPipeline(**components), pixels, steps, guidance_scale=3.0)


def text_to_mesh(
    size: ShapESize, image: Path, steps: int, device: torch.device, dtype: torch.dtype
) -> Callable[[], Any]:
    """As ``image_to_mesh``, of a text prompt; ``image`` is of no use."""
    text = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=size.text_width,
        intermediate_size=4 * size.text_width,
        num_hidden_layers=size.text_layers,
        num_attention_heads=size.text_width // 64,
        projection_dim=size.text_width,
    )
    components: dict[str, Any] = {
        "prior": _build(partial(_prior, size, size.text_width, None), device, dtype),
        "text_encoder": _build(lambda: CLIPTextModelWithProjection(text), device, dtype),
        "tokenizer": _Tokenizer(),
        "scheduler": _scheduler(),
        "shap_e_renderer": _renderer(size, device, dtype),
    }
    return partial(_run, ShapEPipeline(**components), "a mug", steps, guidance_scale=15.0)


def _run(pipeline: Any, given: Any, steps: int, guidance_scale: float) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(given, num_inference_steps=steps, guidance_scale=guidance_scale, output_type="mesh").images[0]


class _Tokenizer:
    """Random weights need no vocabulary: every prompt has all tokens that a prompt can have."""

    model_max_length = TEXT_TOKENS
    pad_token_id = 0

    def __call__(self, prompt: str, **_: object) -> SimpleNamespace:
        return SimpleNamespace(input_ids=torch.arange(VOCABULARY - TEXT_TOKENS, VOCABULARY)[None])


def _build(make: Callable[[], Any], device: torch.device, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    with torch.device(device):  # a GPU draws random numbers faster
        module = make().requires_grad_(False).eval()
    return nn.Module.to(module, device, dtype)  # diffusers' own method warns of what does not matter here


def _prior(size: ShapESize, condition_width: int, condition_norm: str | None) -> PriorTransformer:
    return PriorTransformer(
        num_attention_heads=size.width // 64,
        attention_head_dim=64,
        num_layers=size.layers,
        embedding_dim=size.width,
        num_embeddings=4 * size.hidden,
        additional_embeddings=0,
        time_embed_act_fn="gelu",
        norm_in_type="layer",
        embedding_proj_norm_type=condition_norm,
        encoder_hid_proj_type=None,
        added_emb_type=None,
        time_embed_dim=4 * size.width,
        embedding_proj_dim=condition_width,
        clip_embed_dim=2 * size.width,  # mean and variance
    )


def _scheduler() -> HeunDiscreteScheduler:
    return HeunDiscreteScheduler(
        num_train_timesteps=1024,
        beta_schedule="exp",
        prediction_type="sample",
        use_karras_sigmas=True,
        clip_sample=True,
        clip_sample_range=1.0,
    )


def _renderer(size: ShapESize, device: torch.device, dtype: torch.dtype) -> ShapERenderer:
    """A field that is positive everywhere, whatever the prior makes. Its mesh is the surface of the whole cube of 128
    points a side; random weights alone would give noise, or nothing."""
    shapes: Any = ((size.hidden, 93), *[(size.hidden, size.hidden)] * 3)
    renderer = _build(
        lambda: ShapERenderer(param_shapes=shapes, d_latent=size.width, d_hidden=size.hidden), device, dtype
    )
    for projection in renderer.params_proj.projections.values():
        nn.init.constant_(projection.norm.weight, size.hidden**-0.5)  # else 16 bits overflow
    renderer.mlp.mlp[-1].bias[0] += INSIDE
    _fill_table(renderer.mesh_decoder)
    return renderer


def _fill_table(decoder: MeshDecoder) -> None:
    """The table of marching cubes is part of the released weights. This one has as many triangles, with corners on the
    same edges, in any order: the time is the same, and the mesh is not looked at."""
    edges = []
    for axis in (1, 2, 4):  # bits of a corner's number, x first
        edges += [(corner, corner | axis) for corner in range(8) if not corner & axis]
    for case in range(256):
        crossed = [index for index, (low, high) in enumerate(edges) if (case >> low ^ case >> high) & 1]
        triangles = [[crossed[0], *pair] for pair in pairwise(crossed[1:])][:5]
        if triangles:
            decoder.get_buffer("cases")[case, : len(triangles)] = torch.tensor(triangles)
            decoder.get_buffer("masks")[case, : len(triangles)] = True
