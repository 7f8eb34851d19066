"""What the original reconstruction network computed (tests/data/one2345/README.md), and the same by ours."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch.nn import functional as F

from backend.surface.one2345.color import gather
from backend.surface.one2345.field import BLOCK, One2345Field
from backend.surface.one2345.network import One2345
from backend.surface.one2345.sparse import down_mask
from backend.surface.one2345.volume import look_up
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
    """A value that was kept whole, in its own shape."""
    assert INDEX[name]["step"] == 1, name
    return EXPECTED[name].reshape(INDEX[name]["shape"])


def thinned(name: str, whole: torch.Tensor | np.ndarray) -> np.ndarray:
    """What the rule of the README keeps of our whole tensor ``name``."""
    whole = torch.as_tensor(whole).detach().cpu().numpy()
    assert list(whole.shape) == INDEX[name]["shape"], name
    rows = whole.ndim == 2 and whole.shape[1] in (3, 4)
    return (whole if rows else whole.reshape(-1))[:: INDEX[name]["step"]].reshape(-1)


def error(name: str, whole: torch.Tensor | np.ndarray) -> np.ndarray:
    """Absolute differences to the original, of what is kept."""
    return np.abs(thinned(name, whole).astype(np.float64) - EXPECTED[name].astype(np.float64).reshape(-1))


def weights() -> dict[str, torch.Tensor]:
    """As a loaded checkpoint has them, without counters."""
    found = {name: torch.from_numpy(np.asarray(each)) for name, each in stored("weights").items()}
    return {name: each for name, each in found.items() if not name.endswith("num_batches_tracked")}


def source_cameras() -> np.ndarray:
    """The reference view's camera and the 32 source views'."""
    poses = stored("inputs")["pose_c2w_blender"]
    return np.concatenate([poses[:1], poses[8:]])


def compute(device: str) -> tuple[One2345Field, dict[str, torch.Tensor]]:
    """The field of the stored images, and every tensor of the data set that is compared one to one."""
    network = One2345.of(weights()).requires_grad_(False).to(device)
    images = torch.from_numpy(stored("inputs")["source_images"]).permute(0, 3, 1, 2).float().div(255).to(device)
    found: dict[str, torch.Tensor] = {}
    hooks = _watch(network, found)
    field = One2345Field.of(network, images, source_cameras())
    for hook in hooks:
        hook.remove()
    found["volume.num_active"] = field.mask.sum()[None]
    found["volume.cond.s6"] = field.volume[:, ::6, ::6, ::6]
    _distances(field, found)
    _colors(field, found)
    _rays(field, found)
    _with_stored_statistics(network, images, field, found)
    return field, found


def _watch(network: One2345, found: dict[str, torch.Tensor]) -> list:
    """Keep intermediate results as they pass."""
    unet = network.sdf_network_lod0.sparse_costreg_net
    masks: dict[int, torch.Tensor] = {}

    def features(_, __, maps):
        found["feat.level0.view0.s4"] = maps[0][0, :, ::4, ::4]
        found["feat.level1.view0.s2"] = maps[1][0, :, ::2, ::2]
        found["feat.level2.view0.s2"] = maps[2][0, :, ::2, ::2]

    def compression(_, inputs, maps):
        found["feat.fused.view0.s8"] = inputs[0][0, :, ::8, ::8]
        found["feat.compressed.view0.s4"] = maps[0, :, ::4, ::4]

    def entry(_, inputs):
        pooled, mask = inputs
        for stride in (1, 2, 4, 8):
            masks[stride] = mask
            mask = down_mask(mask)
        keep("input", pooled[0][:, masks[1]].T)

    def keep(name: str, rows: torch.Tensor) -> None:
        mask = masks[STRIDES[name]]
        sites = torch.from_numpy(expected(f"costreg.{name}.coords")).long().to(rows.device) // STRIDES[name]
        x, y, z = sites.unbind(1)
        assert mask[x, y, z].all(), name
        places = torch.full(mask.shape, -1, device=rows.device)
        places[mask] = torch.arange(len(rows), device=rows.device)
        found[f"costreg.{name}.feats"] = rows[places[x, y, z]]
        found[f"costreg.{name}.channel_mean"] = rows.double().mean(0)
        found[f"costreg.{name}.channel_std"] = rows.double().std(0, correction=0)

    blocks = [(name, block) for name, block in unet.named_children()]
    return [
        network.pyramid_feature_network.register_forward_hook(features),
        network.sdf_network_lod0.compress_layer.register_forward_hook(compression),
        unet.register_forward_pre_hook(entry),
        *(
            block.net[1].register_forward_hook(lambda _, __, rows, name=name: keep(name, F.relu(rows)))
            for name, block in blocks
        ),
    ]


def _distances(field: One2345Field, found: dict[str, torch.Tensor]) -> None:
    device, sdf = field.volume.device, field.network.sdf_network_lod0
    steps = torch.linspace(-1, 1, 64, device=device)
    blocks = torch.cartesian_prod(steps, steps, steps).split(BLOCK)
    found["sdf.grid64"] = torch.cat([field.distances(block) for block in blocks]).view(64, 64, 64)
    points = torch.from_numpy(expected("sdf.points")).to(device)
    found["sdf.latent"] = look_up(field.volume, points)
    whole = sdf.sdf_layer(points, found["sdf.latent"])
    found["sdf.values"], found["sdf.features"] = whole[:, :1], whole[:200, 1:]
    with torch.no_grad():
        _, found["sdf.gradients"] = sdf.gradient(field.volume, points)
    found["sdf.pts_mask_nearest"] = rendering._seen(field.sources, points[None])[0]


def _colors(field: One2345Field, found: dict[str, torch.Tensor]) -> None:
    points = torch.from_numpy(expected("color.points")).to(field.volume.device)
    with torch.no_grad():
        _, slope = field.network.sdf_network_lod0.gradient(field.volume, points)
    gathered = gather(field.sources, points, slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-6))
    found["color.geometry_feat"], found["color.ray_diff"] = gathered.geometry, gathered.directions
    found["color.rgb_feats.first24"], found["color.view_mask"] = gathered.features[:, :24], gathered.valid
    found["color.rgb"] = field.colors(points)


def query_rays(field: One2345Field) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays of the stored pixels of the reference view."""
    pixels = torch.from_numpy(expected("rays.pixel_index")).long().to(field.volume.device)
    camera = torch.from_numpy(field.frame.query_to_world).to(field.volume.device)
    return rendering.camera_rays(camera, pixels % 256, pixels // 256)


def render(field: One2345Field, z: torch.Tensor, annealing: float = 1.0) -> rendering.Rendered:
    near, far = field.frame.near_far[0].tolist()
    with torch.no_grad():
        return rendering.render(
            field.network, field.sources, *query_rays(field), z, (far - near) / rendering.COARSE, annealing
        )


def ray_tensors(seen: rendering.Rendered) -> dict[str, torch.Tensor]:
    return {
        "rays.color": seen.color,
        "rays.depth": seen.depth,
        "rays.depth_variance": seen.depth_variance,
        "rays.weights": seen.weights,
        "rays.weights_sum": seen.weights_sum,
        "rays.sdf": seen.distance,
        "rays.gradient_error": seen.gradient_error[None],
        "rays.color_mask": seen.valid,
    }


def _rays(field: One2345Field, found: dict[str, torch.Tensor]) -> None:
    found["rays.o"], found["rays.d"] = query_rays(field)
    found["rays.near_far"] = torch.from_numpy(field.frame.near_far[0])
    found["rays.variance"] = 1 / field.network.variance_network_lod0()[None]
    found |= ray_tensors(render(field, torch.from_numpy(expected("rays.z_vals")).to(field.volume.device)))


@torch.no_grad()
def _with_stored_statistics(network: One2345, images, field: One2345Field, found: dict[str, torch.Tensor]) -> None:
    """What nobody wants, but the original was also asked for: it shows that the statistics are told apart."""
    network.eval()
    maps = network.features(images)
    volume, _ = network.volume(maps, field.sources.projections)
    found["evalmode.feat.fused.view0.s8"] = maps[0, :, ::8, ::8]
    found["evalmode.volume.cond.s6"] = volume[:, ::6, ::6, ::6]
    points = torch.from_numpy(expected("sdf.points")).to(images.device)
    found["evalmode.sdf.values"] = network.sdf_network_lod0.distance(volume, points)
    network.train()
