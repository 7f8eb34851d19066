"""What the original reconstruction network computed (tests/data/one2345/README.md), and the same by ours."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch.nn import functional as F

from backend.surface.one2345.color import gather_point_features
from backend.surface.one2345.features import fuse
from backend.surface.one2345.field import DISTANCE_BLOCK, One2345Field
from backend.surface.one2345.network import One2345
from backend.surface.one2345.sparse import down_mask
from backend.surface.one2345.volume import interpolate
from tests.helpers import one2345_rendering as rendering
from tests.helpers.paths import TEST_DATA

DATA = TEST_DATA / "one2345"
INDEX = json.loads((DATA / "expected.json").read_text())
STRIDES = {"input": 1, "conv0": 1, "conv1": 2, "conv2": 2, "conv3": 4, "conv4": 4, "conv5": 8, "conv6": 8}
STRIDES |= {"conv7": 4, "conv9": 2, "conv11": 1}


def stored(file: str) -> dict[str, np.ndarray]:
    with np.load(DATA / f"{file}.npz") as arrays:
        return dict(arrays)


EXPECTED = stored("expected")


def expected(name: str) -> np.ndarray:
    """A tensor that was stored without thinning, in its own shape."""
    assert INDEX[name]["step"] == 1, name
    return EXPECTED[name].reshape(INDEX[name]["shape"])


def thinned(name: str, whole: torch.Tensor | np.ndarray) -> np.ndarray:
    """The entries of our whole tensor ``name`` that the README's thinning rule stores."""
    whole = torch.as_tensor(whole).detach().cpu().numpy()
    assert list(whole.shape) == INDEX[name]["shape"], name
    rows = whole.ndim == 2 and whole.shape[1] in (3, 4)
    return (whole if rows else whole.reshape(-1))[:: INDEX[name]["step"]].reshape(-1)


def error(name: str, whole: torch.Tensor | np.ndarray) -> np.ndarray:
    """Absolute differences to the original's stored entries."""
    return np.abs(thinned(name, whole).astype(np.float64) - EXPECTED[name].astype(np.float64).reshape(-1))


def weights() -> dict[str, torch.Tensor]:
    """The state dict of the checkpoint, without batch counters."""
    return {
        name: torch.from_numpy(np.asarray(array))
        for name, array in stored("weights").items()
        if not name.endswith("num_batches_tracked")
    }


def source_cameras() -> np.ndarray:
    """The reference view's camera and the 32 source views'."""
    cameras = stored("inputs")["pose_c2w_blender"]
    return np.concatenate([cameras[:1], cameras[8:]])


def source_images(device: str) -> torch.Tensor:
    return torch.from_numpy(stored("inputs")["source_images"]).permute(0, 3, 1, 2).float().div(255).to(device)


def compute(device: str) -> tuple[One2345Field, dict[str, torch.Tensor]]:
    """The field of the stored images, and every tensor of the stored data that is compared one to one."""
    network = One2345.from_state_dict(weights()).requires_grad_(False).to(device)
    images = source_images(device)
    tensors: dict[str, torch.Tensor] = {}
    hooks = _register_hooks(network, tensors)
    field = One2345Field.from_images(network, images, source_cameras())
    for hook in hooks:
        hook.remove()
    tensors["volume.num_active"] = field.mask.sum()[None]
    tensors["volume.cond.s6"] = field.volume[:, ::6, ::6, ::6]
    _distances(field, tensors)
    _colors(field, tensors)
    _rays(field, tensors)
    return field, tensors


def _register_hooks(network: One2345, tensors: dict[str, torch.Tensor]) -> list:
    """Record intermediate results in ``tensors``."""
    unet = network.sdf_network_lod0.sparse_costreg_net
    masks: dict[int, torch.Tensor] = {}

    def features(_, __, maps):
        tensors["feat.level0.view0.s4"] = maps[0][0, :, ::4, ::4]
        tensors["feat.level1.view0.s2"] = maps[1][0, :, ::2, ::2]
        tensors["feat.level2.view0.s2"] = maps[2][0, :, ::2, ::2]

    def fused(_, inputs, __):
        tensors.setdefault("feat.fused.view0.s8", inputs[0][0, :, ::8, ::8])  # of the first group of views

    def compressed(_, __, maps):
        tensors["feat.compressed.view0.s4"] = maps[0, :, ::4, ::4]

    def entry(_, inputs):
        aggregated, mask = inputs
        for stride in (1, 2, 4, 8):
            masks[stride] = mask
            mask = down_mask(mask)
        record("input", aggregated[0][:, masks[1]].T)

    def record(name: str, rows: torch.Tensor) -> None:
        mask = masks[STRIDES[name]]
        sites = torch.from_numpy(expected(f"costreg.{name}.coords")).long().to(rows.device) // STRIDES[name]
        x, y, z = sites.unbind(1)
        assert mask[x, y, z].all(), name
        row_of_site = torch.full(mask.shape, -1, device=rows.device)
        row_of_site[mask] = torch.arange(len(rows), device=rows.device)
        tensors[f"costreg.{name}.feats"] = rows[row_of_site[x, y, z]]
        tensors[f"costreg.{name}.channel_mean"] = rows.double().mean(0)
        tensors[f"costreg.{name}.channel_std"] = rows.double().std(0, correction=0)

    blocks = [(name, block) for name, block in unet.named_children()]
    return [
        network.pyramid_feature_network.register_forward_hook(features),
        network.sdf_network_lod0.compress_layer.conv.register_forward_hook(fused),
        network.sdf_network_lod0.compress_layer.bn.register_forward_hook(compressed),
        unet.register_forward_pre_hook(entry),
        *(
            block.net[1].register_forward_hook(lambda _, __, rows, name=name: record(name, F.relu(rows)))
            for name, block in blocks
        ),
    ]


def _distances(field: One2345Field, tensors: dict[str, torch.Tensor]) -> None:
    device, sdf = field.volume.device, field.network.sdf_network_lod0
    steps = torch.linspace(-1, 1, 64, device=device)
    blocks = torch.cartesian_prod(steps, steps, steps).split(DISTANCE_BLOCK)
    tensors["sdf.grid64"] = torch.cat([field.distances(block) for block in blocks]).view(64, 64, 64)
    points = torch.from_numpy(expected("sdf.points")).to(device)
    tensors["sdf.latent"] = interpolate(field.volume, points)
    whole = sdf.sdf_layer(points, tensors["sdf.latent"])
    tensors["sdf.values"], tensors["sdf.features"] = whole[:, :1], whole[:200, 1:]
    with torch.no_grad():
        _, tensors["sdf.gradients"] = sdf.gradient(field.volume, points)
    tensors["sdf.pts_mask_nearest"] = rendering.in_visible_voxel(field.sources, points[None])[0]


def _colors(field: One2345Field, tensors: dict[str, torch.Tensor]) -> None:
    points = torch.from_numpy(expected("color.points")).to(field.volume.device)
    with torch.no_grad():
        _, gradient = field.network.sdf_network_lod0.gradient(field.volume, points)
    inputs = gather_point_features(field.sources, points, gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-6))
    tensors["color.geometry_feat"], tensors["color.ray_diff"] = inputs.geometry, inputs.directions
    tensors["color.rgb_feats.first24"], tensors["color.view_mask"] = inputs.features[:, :24], inputs.valid
    tensors["color.rgb"] = field.colors(points)


def query_rays(field: One2345Field) -> tuple[torch.Tensor, torch.Tensor]:
    """Origins and directions (R, 3) of the rays of the reference view's stored pixels."""
    pixels = torch.from_numpy(expected("rays.pixel_index")).long().to(field.volume.device)
    camera = torch.from_numpy(rendering.reference_camera(field.frame)).to(field.volume.device)
    return rendering.camera_rays(camera, pixels % 256, pixels // 256)


def render(field: One2345Field, z: torch.Tensor, annealing: float = 1.0) -> rendering.Rendered:
    near, far = rendering.near_far(field.frame)[0].tolist()
    with torch.no_grad():
        return rendering.render(
            field.network, field.sources, *query_rays(field), z, (far - near) / rendering.COARSE, annealing
        )


def ray_tensors(rendered: rendering.Rendered) -> dict[str, torch.Tensor]:
    return {
        "rays.color": rendered.color,
        "rays.depth": rendered.depth,
        "rays.depth_variance": rendered.depth_variance,
        "rays.weights": rendered.weights,
        "rays.weights_sum": rendered.weights_sum,
        "rays.sdf": rendered.distance,
        "rays.gradient_error": rendered.gradient_error[None],
        "rays.color_mask": rendered.valid,
    }


def _rays(field: One2345Field, tensors: dict[str, torch.Tensor]) -> None:
    tensors["rays.o"], tensors["rays.d"] = query_rays(field)
    tensors["rays.near_far"] = torch.from_numpy(rendering.near_far(field.frame)[0])
    tensors["rays.variance"] = 1 / rendering.inverse_deviation(field.network)[None]
    tensors |= ray_tensors(render(field, torch.from_numpy(expected("rays.z_vals")).to(field.volume.device)))


@torch.no_grad()
def compute_in_evaluation_mode(field: One2345Field) -> dict[str, torch.Tensor]:
    """Tensors of the mode that inference never uses: shows that both kinds of statistics are implemented."""
    network, device = field.network, str(field.volume.device)
    network.eval()
    pyramid = network.features(source_images(device))
    volume, _ = network.volume(pyramid, field.sources.projections)
    points = torch.from_numpy(expected("sdf.points")).to(device)
    distance = network.sdf_network_lod0.distance(volume, points)
    network.train()
    return {
        "evalmode.feat.fused.view0.s8": fuse(pyramid)[0, :, ::8, ::8],
        "evalmode.volume.cond.s6": volume[:, ::6, ::6, ::6],
        "evalmode.sdf.values": distance,
    }
