"""Train the starter surface network on exact distances (reference: One-2-3-45, arXiv 2306.16928, section 3.3).

    python -m training.surface --state DIR --minutes 6 --out DIR               on true pictures
    python -m training.surface --state DIR --minutes 3 --views DIR --out DIR   half of them painted

The input picture is always true; the others are true or painted. Half of the samples are shown cameras that are a
little wrong, as a misjudged elevation makes them.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from backend.surface.network import SurfaceNetwork, load
from backend.zero123.model import Zero123
from training import pool
from training.evaluate_surface import report
from training.group_norm import fuse
from training.paint import paint, plan_angles
from training.render import Scenes
from training.surface_model import CONFIG, save

RINGS, NEIGHBOURS = 9, 5
"""Views of a sample: the input and both rings, and this many of the 32 neighbours."""
TRUNCATION = 0.1
FIELDS = ("rows", "counts", "placement", "light")
"""What ``Scenes`` is made of."""
REFRESH = 16, 80
"""Steps between two new chunks of scenes, true and painted (which cost many times more)."""
POINTS = 12288
"""Points near the surface of every scene, and a third as many anywhere."""


class Store:
    """Scenes with their pictures in GPU memory: pictures (N, V, S, S, 4) uint8 and angles (N, V, 2) in degrees."""

    def __init__(self, count: int, stream, painter: Zero123 | None, neighbours: bool):
        self.stream, self.painter, self.neighbours, self.next = stream, painter, neighbours, 0
        chunks = [self._chunk() for _ in range(count // pool.CHUNK)]
        self.pictures, self.angles = (torch.cat([chunk[k] for chunk in chunks]) for k in (1, 2))
        joined = (torch.cat([getattr(chunk[0], name) for chunk in chunks]) for name in FIELDS)
        self.scenes = Scenes(*joined, self.pictures.device)

    def _chunk(self) -> tuple[Scenes, torch.Tensor, torch.Tensor]:
        scenes, elevation = next(self.stream)
        elevations, azimuths = plan_angles(elevation)
        if not self.neighbours:
            elevations, azimuths = elevations[:, :RINGS], azimuths[:, :RINGS]
        pictures = pool.render(scenes, elevations, azimuths, CONFIG["image_size"])
        if self.painter is not None:
            pictures[:, 1:] = paint(self.painter, pictures[:, 0], elevations, azimuths)
        return scenes, pictures, torch.stack([elevations, azimuths], -1)

    def refresh(self) -> None:
        """Replace the oldest chunk of scenes."""
        mine = slice(self.next, self.next + pool.CHUNK)
        self.next = (self.next + pool.CHUNK) % len(self.pictures)
        scenes, self.pictures[mine], self.angles[mine] = self._chunk()
        for name in FIELDS:
            getattr(self.scenes, name)[mine] = getattr(scenes, name)

    def draw(self, batch: int):
        """Scenes, pictures (B, V, 4, S, S) 0..1 and angles (B, V, 2) of a random batch."""
        index = torch.randint(0, len(self.pictures), (batch,), device=self.pictures.device)
        pictures, angles = self.pictures[index], self.angles[index]
        if pictures.shape[1] > RINGS:
            extra = RINGS + torch.randperm(pictures.shape[1] - RINGS, device=index.device)[:NEIGHBOURS]
            chosen = torch.cat([torch.arange(RINGS, device=index.device), extra])
            pictures, angles = pictures[:, chosen], angles[:, chosen]
        return self.scenes[index], pictures.permute(0, 1, 4, 2, 3).float() / 255, angles


def turn_about_x(degrees: torch.Tensor) -> torch.Tensor:
    """Rotations (B, 3, 3) about the world's x axis."""
    angle = torch.deg2rad(degrees)
    turn = torch.eye(3, device=angle.device).repeat(len(angle), 1, 1)
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 2, 1] = angle.sin()
    turn[:, 1, 2] = -angle.sin()
    return turn


def jitter(cameras: torch.Tensor, degrees: float) -> torch.Tensor:
    """Every camera (B, V, 4, 4) but the first turned about the origin by about ``degrees``, in half of the samples."""
    batch, views = cameras.shape[:2]
    axis = torch.randn(batch, views, 3, device=cameras.device) * math.radians(degrees) / math.sqrt(3)
    axis[:, 0] = 0
    axis *= (torch.rand(batch, 1, 1, device=cameras.device) < 0.5).float()
    cross = torch.zeros(batch, views, 4, 4, device=cameras.device)
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -axis[..., 2], axis[..., 1], -axis[..., 0]
    turn = torch.linalg.matrix_exp(cross - cross.transpose(2, 3))
    return turn @ cameras


def draw_points(scenes: Scenes, half_side: float) -> tuple[torch.Tensor, ...]:
    """Supervision of a batch of scenes: points (B, N, 3), distances (B, N), colours (B, N, 3), whether on it (B, N)."""
    device, batch = scenes.rows.device, len(scenes)
    points = (torch.rand(batch, POINTS, 3, device=device) * 2 - 1) * half_side
    step = 2e-3
    for _ in range(2):  # slide down the gradient onto the surface
        taps = points.new_tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]]) * step
        around = (points[:, :, None] + taps).flatten(1, 2)
        tap = scenes.distance(around).unflatten(1, (-1, 4))
        normal = F.normalize((tap[..., None] * taps).sum(2), dim=-1)
        points = points - normal * scenes.distance(points)[..., None]
    points = points.clamp(-half_side, half_side)
    spread = torch.where(torch.rand(batch, POINTS, 1, device=device) < 0.5, 0.006, 0.03)
    spread[:, : POINTS // 3] = 0
    points = (points + torch.randn_like(points) * spread).clamp(-half_side, half_side)
    free = (torch.rand(batch, POINTS // 3, 3, device=device) * 2 - 1) * half_side
    everywhere = torch.cat([points, free], 1)
    distance, albedo = scenes.distance(everywhere, colour=True)
    light = scenes.light[:, None]
    lit = 0.75 * (normal * light[..., :3]).sum(-1).clamp_min(0) + 0.25 * (0.5 + 0.5 * normal[..., 2])
    shade = light[..., 3] + (1 - light[..., 3]) * lit
    shade = F.pad(shade, (0, POINTS // 3), value=0.8)
    on_surface = distance.abs() < 4e-3
    on_surface[:, POINTS // 3 :] = False
    return everywhere, distance, (albedo * shade[..., None]).clamp(0, 1), on_surface


def loss_of(
    network, scenes: Scenes, pictures: torch.Tensor, angles: torch.Tensor, wrong: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and mean distance error near the surface. ``wrong``: spread of the misjudged elevation in degrees.

    Where the elevation is judged ``delta`` too high the world the network works in is the true one turned by ``delta``
    about x, because the input camera is where everything is measured from.
    """
    batch = len(pictures)
    points, distance, colour, on_surface = draw_points(scenes, CONFIG["half_side"])
    delta = torch.randn(batch, device=points.device) * wrong * (torch.rand(batch, device=points.device) < 0.5)
    cameras = jitter(pool.cameras(angles[..., 0] + delta[:, None], angles[..., 1]), 1.2)
    judged = points @ turn_about_x(-delta).transpose(1, 2)
    gain = 1 + 0.1 * torch.randn(batch, pictures.shape[1], 3, 1, 1, device=points.device)
    gain[:, 0] = 1
    mask = pictures[:, :, 3:]
    lit = (pictures[:, :, :3] - (1 - mask)) * gain + (1 - mask)
    with torch.autocast("cuda", torch.bfloat16):
        found, painted = network(torch.cat([lit.clamp(0, 1), mask], 2), cameras, judged)
    clipped = distance.clamp(-TRUNCATION, TRUNCATION)
    error = (found.clamp(-1.5 * TRUNCATION, 1.5 * TRUNCATION) - clipped).abs()
    sign = F.softplus(-found * distance.sign() / 0.01)
    near = error[:, :POINTS].mean()
    colour_error = ((painted - colour).abs().mean(-1) * on_surface).sum() / on_surface.sum().clamp_min(1)
    return 10 * near + 5 * error[:, POINTS:].mean() + 0.05 * sign.mean() + 0.5 * colour_error, near


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, help="folder that keeps everything needed to resume")
    parser.add_argument("--from", dest="weights", help="folder of weights to start from")
    parser.add_argument("--out", required=True, help="folder for the averaged weights, float16")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--views", help="folder of a view model that paints half of the views")
    parser.add_argument("--scenes", type=int, default=4096)
    parser.add_argument("--painted", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=500_000_000, help="first seed of this run's scenes")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(args.seed)
    device = torch.device("cuda", 0)
    begin = time.time()
    stream = pool.placed_scenes(args.seed, max(2, (os.cpu_count() or 8) // 3), device)
    painter = Zero123.load(args.views, device, torch.bfloat16) if args.views else None
    held_out = Store(pool.CHUNK, stream, None, True), painter and Store(pool.CHUNK, stream, painter, False)
    stores = [Store(args.scenes, stream, None, True)]
    print(f"{args.scenes} scenes after {time.time() - begin:.0f} s", flush=True)
    if painter:
        stores.append(Store(args.painted, stream, painter, False))
        print(f"{args.painted} painted scenes after {time.time() - begin:.0f} s", flush=True)
    network = SurfaceNetwork(**CONFIG).to(device)
    if args.weights:
        network.load_state_dict(load(args.weights, device).state_dict())
    averaged = SurfaceNetwork(**CONFIG).to(device).requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step, state = 0, Path(args.state) / "surface.pt"
    if state.exists():
        stored = torch.load(state, map_location=device)
        network.load_state_dict(stored["model"])
        optimiser.load_state_dict(stored["optimiser"])
    averaged.load_state_dict(network.state_dict())
    fuse(network)
    network.features.to(memory_format=torch.channels_last)
    network.unet.to(memory_format=torch.channels_last_3d)
    begin, total = time.time(), 0.0
    while (done := (time.time() - begin) / (60 * args.minutes)) < 1:
        store = stores[step % len(stores)]
        rate = min(1.0, (step + 1) / 200) * (1.0 if done < 0.4 else 0.5 + 0.5 * math.cos(math.pi * (done - 0.4) / 0.6))
        optimiser.param_groups[0]["lr"] = args.rate * max(rate, 0.01)
        loss, near = loss_of(network, *store.draw(args.batch), wrong=5.0 if painter else 2.0)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(
                list(averaged.parameters()), list(network.parameters()), 1 - min(0.998, step / (step + 10))
            )
            total += near
        for store, every in zip(stores, REFRESH, strict=False):
            if step % every == 0:
                store.refresh()
        if step % 200 == 0:
            print(
                f"surface step {step} near {float(total) / 200:.5f} {step / (time.time() - begin):.1f} steps/s",
                flush=True,
            )
            total = 0.0
    Path(args.state).mkdir(parents=True, exist_ok=True)
    torch.save({"model": network.state_dict(), "optimiser": optimiser.state_dict()}, state)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    save(averaged, Path(args.out), quantise=False)
    for name, store in zip(("true views", "painted views"), held_out, strict=True):
        if store:
            print(name, report(averaged, store, CONFIG["half_side"]), flush=True)


if __name__ == "__main__":
    main()
