"""What of a picture is in shadow, from depth maps: shadows with soft edges, dark creases, and where an object stands.

A shadow map (Williams 1978) is a depth map from the lamp; a point is in shadow where something is nearer to the lamp.
Comparing with many places of the map around the point makes the edge as soft as the lamp is wide (Reeves et al. 1987).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from backend.camera import FOCAL, RADIUS

TAPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Where the map is read along either side of a lamp, in its softness."""
BIAS = 0.02
"""A point is in shadow of what is nearer to the lamp by more than this, in world units: its own surface is not."""
CREASE_REACHES = 2.0, 5.0
"""How far around a point creases are looked for, in pixels of 128-pixel pictures."""
CONTACT_HEIGHT = 0.1
"""Height in world units over which the shade at an object's foot fades."""


def world_points(depths: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
    """Depths (N, S, S) along the axes of cameras (N, 4, 4), their lenses too -> world points (N, S, S, 3)."""
    size = depths.shape[1]
    steps = ((torch.arange(size, device=depths.device) + 0.5) / size - 0.5) / FOCAL
    x, y = steps.expand(size, size), -steps[:, None].expand(size, size)
    local = torch.stack([x, y, -torch.ones_like(x)], -1) * depths[..., None]
    return torch.einsum("nijd,ndc->nijc", local, torch.linalg.inv(cameras[:, :3, :3])) + cameras[:, None, None, :3, 3]


def lit_share(
    points: torch.Tensor, lamp_depths: torch.Tensor, lamps: torch.Tensor, softness: torch.Tensor
) -> torch.Tensor:
    """How much of lamps, given by their cameras (N, 4, 4), reaches world points (N, S, S, 3): (N, S, S) in 0..1.

    ``lamp_depths`` (N, T, T) is what the lamps see, infinite where nothing; ``softness`` (N,) half the width of what
    the map is averaged over, in widths of the map. What a lamp does not see is lit.
    """
    local = torch.einsum("nijc,ncd->nijd", points - lamps[:, None, None, :3, 3], lamps[:, :3, :3]).flatten(1, 2)
    distance = -local[..., 2:]
    taps = torch.tensor([(x, y) for y in TAPS for x in TAPS], device=points.device) * softness.view(-1, 1, 1, 1)
    at = FOCAL * local[..., :2] / distance * torch.tensor([1.0, -1.0], device=points.device)
    # Inverse depths of a plane are linear in the map, so that between its pixels they are interpolated exactly.
    nearest = F.grid_sample(1 / lamp_depths[:, None], 2 * (at[:, :, None] + taps), align_corners=False)
    # A surface that faces the lamp at 45 degrees is that much nearer to it beside the point.
    bias = BIAS + taps.norm(dim=-1) * distance / FOCAL
    return (nearest[:, 0] <= 1 / (distance - bias).clamp_min(1e-3)).float().mean(-1).view(points.shape[:3])


def creases(depths: torch.Tensor) -> torch.Tensor:
    """How deep in a crease the surface is that a picture shows, from its depths (N, S, S), infinite where nothing is:
    (N, S, S) in 0..1, and 0 on planes and edges."""
    size = depths.shape[1]
    depth = torch.zeros_like(depths)
    for pixels in CREASE_REACHES:
        step = max(1, round(pixels * size / 128))
        reach = step * RADIUS / (FOCAL * size)
        for shift in ((0, step), (step, 0), (step, step), (step, -step)):
            pair = torch.stack([depths.roll(shift, (1, 2)), depths.roll((-shift[0], -shift[1]), (1, 2))])
            change = (depths - pair).nan_to_num(torch.inf)
            near = (change.abs() < 4 * reach).all(0)  # what is far in front casts no shade
            depth += torch.where(near, change.mean(0) / reach, 0).clamp(0, 1)
    return (depth / 4).clamp_max(1)


def foot_shade(points: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
    """1 at the lowest of the world points (N, S, S, 3) that are ``shown`` (N, S, S) bool, less above: (N, S, S)."""
    height = points[..., 2] - torch.where(shown, points[..., 2], torch.inf).amin((1, 2), keepdim=True)
    return torch.exp(-height.clamp_min(0) / CONTACT_HEIGHT)
