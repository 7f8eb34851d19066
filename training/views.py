"""Train the starter view model: first its VAE, then the diffusion model (Zero123, arXiv 2303.11328, at toy size).

    python -m training.views --state DIR --vae-minutes 1.5 --minutes 7 --part 0 0.5 --out DIR

Resumes from ``--state`` when something is there, else starts from the weights in ``--from`` if given; ``--part A B``
says which part of the schedule this run is. With ``torchrun --nproc-per-node 2`` gradients are averaged over the GPUs.
``--out`` receives the averaged weights.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import DDPMScheduler
from torch import nn

from backend.camera import LOWER_RING_UP_TO
from backend.views.zero123.conditioning import clip_pixel_values
from backend.views.zero123.model import Zero123
from training import pool
from training.group_norm import fuse
from training.pool import as_input
from training.twin import HalfTwin, all_agree, begin_process, rate_at
from training.vae import train_vae
from training.view_model import SCHEDULE, SIZE, build, save

VIEWS = 8
"""Pictures of every scene: the input, three around it, two of the second ring, two neighbors."""
STATE = "views.pt"
"""Name of the file that keeps everything needed to resume."""
DROP = 0.1
"""Share of samples that are shown no condition, for guidance."""
GAMMA = 5.0
"""Min-SNR weighting (arXiv 2303.09556)."""


def draw_angles(elevation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Input elevations (B,) -> elevations and azimuths (B, VIEWS) of the pictures of each scene, in degrees."""
    count, device = len(elevation), elevation.device
    lower = (90 - elevation) <= LOWER_RING_UP_TO
    second = torch.where(lower, elevation - 30, elevation + 30)
    quarter = 90.0 * torch.randint(1, 4, (count, 2), device=device)
    ring = 30 + 90.0 * torch.randint(0, 4, (count, 2), device=device)
    free = -25 + 90 * torch.rand(count, device=device)
    elevations = [elevation, elevation, elevation, free, second, second]
    azimuths = [
        torch.zeros_like(elevation),
        *quarter.unbind(1),
        360 * torch.rand(count, device=device),
        *ring.unbind(1),
    ]
    for base in (0, int(torch.randint(1, 6, ()))):
        step = torch.tensor([[10.0, 0], [-10, 0], [0, 10], [0, -10]], device=device)
        step = step[torch.randint(0, 4, (count,), device=device)]
        elevations.append(elevations[base] + step[:, 0])
        azimuths.append(azimuths[base] + step[:, 1])
    return torch.stack(elevations, 1), torch.stack(azimuths, 1)


class Pool:
    """Scenes in GPU memory: pictures (N, VIEWS, S, S, 3) uint8, angles (N, VIEWS), latents (N, VIEWS, c, h, w)."""

    def __init__(self, scenes: int, start: int, workers: int, device):
        self.stream = pool.placed_scenes(start, workers, device)
        self.pictures = torch.empty(scenes, VIEWS, SIZE, SIZE, 3, dtype=torch.uint8, device=device)
        self.angles = torch.empty(scenes, VIEWS, 2, device=device)
        self.latents = torch.zeros(scenes, VIEWS, 4, SIZE // 4, SIZE // 4, dtype=torch.half, device=device)
        self.next = 0
        for _ in range(scenes // pool.CHUNK):
            self.refresh(None)

    def refresh(self, vae) -> None:
        """Replace the oldest chunk of scenes; ``vae`` maps pictures (B, 3, S, S) in -1..1 to latents."""
        scenes, elevation = next(self.stream)
        mine = slice(self.next, self.next + pool.CHUNK)
        self.next = (self.next + pool.CHUNK) % len(self.pictures)
        angles = draw_angles(elevation)
        self.angles[mine] = torch.stack(angles, -1)
        self.pictures[mine] = pool.render(scenes, *angles, SIZE)[..., :3]
        if vae is not None:
            self.encode(mine, vae)

    @torch.no_grad()
    def encode(self, which: slice, vae) -> None:
        self.latents[which] = vae(as_input(self.pictures[which].flatten(0, 1))).unflatten(0, (-1, VIEWS)).half()


class Trainee(nn.Module):
    """What the diffusion loss trains: UNet, tower, projection and elevation head, in one forward pass."""

    def __init__(self, model: Zero123):
        super().__init__()
        self.model = model

    def forward(self, pictures, noisy, t, condition, pose, keep):
        model = self.model
        embedding = model.image_encoder(pixel_values=pictures).image_embeds
        tokens = model.projection(torch.cat([embedding, pose.to(embedding.dtype)], -1)) * keep[:, None]
        joined = torch.cat([noisy, condition * keep[:, None, None, None]], 1).contiguous(
            memory_format=torch.channels_last
        )
        predicted = model.unet(joined, t, encoder_hidden_states=tokens[:, None], return_dict=False)[0]
        return predicted.float(), model.elevation_head(embedding).float()


def draw_pairs(angles: torch.Tensor, count: int):
    """Scenes (count,), condition views and target views; three quarters start from the input picture."""
    device = angles.device
    scene = torch.randint(0, len(angles), (count,), device=device)
    target = torch.randint(0, VIEWS, (count,), device=device)
    other = torch.randint(0, VIEWS, (count,), device=device)
    source = torch.where(torch.rand(count, device=device) < 0.75, 0, other)
    return scene, source, target


def relative_poses(angles: torch.Tensor, scene, source, target) -> torch.Tensor:
    """``camera.relative_pose`` on the GPU: (B, 4)."""
    change = torch.deg2rad(angles[scene, target] - angles[scene, source])
    polar, azimuth = -change[:, 0], change[:, 1]
    return torch.stack([polar, azimuth.sin(), azimuth.cos(), torch.zeros_like(polar)], -1)


def train(model: Zero123, data: Pool, stored: dict | None, args, rank: int, world: int) -> Zero123:
    """Train the diffusion model for ``args.minutes``, resuming from what an earlier run ``stored``.

    Returns the model with averaged weights and leaves the state of this run in ``args.state``.
    """
    device = data.pictures.device
    model.vae.requires_grad_(False)
    vae = copy.deepcopy(model.vae).bfloat16().to(memory_format=torch.channels_last)
    fuse(vae)

    def encode(pictures: torch.Tensor) -> torch.Tensor:
        return vae.encode(pictures.bfloat16().contiguous(memory_format=torch.channels_last)).latent_dist.mode()

    for start in range(0, len(data.pictures), pool.CHUNK):
        data.encode(slice(start, start + pool.CHUNK), encode)
    averaged = copy.deepcopy(model)
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, 1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step = 0
    if stored:
        averaged.load_state_dict(stored["averaged"] | {f"vae.{k}": v for k, v in model.vae.state_dict().items()})
        optimizer.load_state_dict(stored["optimizer"])
        step = stored["step"]
    twin = HalfTwin(Trainee(model))
    alphas = DDPMScheduler.from_config(SCHEDULE).alphas_cumprod.to(device)
    begin, going = time.time(), True
    first_step, losses = step, torch.zeros(2, device=device)
    while going:
        done = (time.time() - begin) / (60 * args.minutes)
        optimizer.param_groups[0]["lr"] = args.rate * rate_at(step, done, args.part)
        scene, source, target = draw_pairs(data.angles, args.batch)
        latents, condition = data.latents[scene, target].float(), data.latents[scene, source].float()
        pixels = clip_pixel_values(as_input(data.pictures[scene, source]), SIZE)
        keep = (torch.rand(args.batch, device=device) > DROP).float()
        t = torch.randint(0, len(alphas), (args.batch,), device=device)
        a = alphas[t].view(-1, 1, 1, 1)
        noise = torch.randn_like(latents)
        noisy = a.sqrt() * latents + (1 - a).sqrt() * noise
        wanted = a.sqrt() * noise - (1 - a).sqrt() * latents
        pose = relative_poses(data.angles, scene, source, target)
        half = [each.bfloat16() for each in (pixels, noisy, condition, pose, keep)]
        predicted, elevation = twin.copy(half[0], half[1], t, *half[2:])
        ratio = (a / (1 - a)).flatten()
        weight = ratio.clamp_max(GAMMA) / (ratio + 1)
        error = (predicted - wanted).square().mean((1, 2, 3))
        truth = data.angles[scene, source, 0] / 30
        log_variance = elevation[:, 1].clamp(-8, 4)
        guess = ((elevation[:, 0] - truth).square() * torch.exp(-log_variance) + log_variance).mean()
        loss = (weight * error).mean() * 4 + 0.01 * guess
        loss.backward()
        twin.step(optimizer, world)
        step += 1
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                [each for each in averaged.parameters() if each.requires_grad], parameters, 1 - decay
            )  # fmt: skip
            losses += torch.stack([error.mean(), (30 * (elevation[:, 0] - truth)).abs().mean()])
        if step % args.refresh == 0:
            data.refresh(encode)
        if step % 50 == 0:
            going = all_agree(time.time() < begin + 60 * args.minutes, device)
        if step % 200 == 0:
            if rank == 0:
                mean = (losses / 200).tolist()
                speed = (step - first_step) * args.batch * world / (time.time() - begin)
                print(f"step {step} error {mean[0]:.4f} elevation {mean[1]:.2f} deg {speed:.0f} samples/s", flush=True)
            losses.zero_()
    if rank == 0:
        Path(args.state).mkdir(parents=True, exist_ok=True)
        kept = {"model": model, "averaged": averaged, "optimizer": optimizer}
        torch.save({name: part.state_dict() for name, part in kept.items()} | {"step": step}, Path(args.state) / STATE)
    return averaged


def begin_model(args, device) -> tuple[Zero123, dict | None]:
    """The model to train on, and what an earlier run stored beside it."""
    torch.manual_seed(0)  # every process begins with the same weights
    model, stored = build(), None
    if (Path(args.state) / STATE).exists():
        stored = torch.load(Path(args.state) / STATE, map_location=device)
        model.load_state_dict(stored["model"])
    elif args.weights:
        model.load_state_dict(Zero123.load(args.weights).state_dict())
    return model.to(device), stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, help="folder that keeps everything needed to resume")
    parser.add_argument("--from", dest="weights", help="folder of weights to start from")
    parser.add_argument("--out", required=True, help="folder for the averaged weights, float16")
    parser.add_argument("--vae-minutes", type=float, default=0.0)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--part", type=float, nargs=2, default=(0.0, 1.0))
    parser.add_argument("--scenes", type=int, default=16384)
    parser.add_argument("--batch", type=int, default=768, help="samples a step on each GPU")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--refresh", type=int, default=4, help="steps between two new chunks of scenes")
    parser.add_argument("--seed", type=int, default=0, help="first seed of this run's scenes")
    args = parser.parse_args()
    rank, world, device = begin_process(args.seed)
    begin = time.time()
    data = Pool(args.scenes, args.seed + rank * 50_000_000, max(2, (os.cpu_count() or 8) // world - 2), device)
    torch.cuda.synchronize()
    if world > 1:
        dist.init_process_group("nccl")
    if rank == 0:
        print(f"pool: {args.scenes} scenes of {VIEWS} views in {time.time() - begin:.0f} s", flush=True)
    model, stored = begin_model(args, device)
    torch.manual_seed(args.seed + rank + 1)
    if args.vae_minutes:
        train_vae(model, data.pictures.flatten(0, 1), args.vae_minutes, rank, world)
    if args.minutes:
        model = train(model, data, stored, args, rank, world)
    if rank == 0:
        save(model, Path(args.out), quantize=False)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
