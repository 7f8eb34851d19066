"""Train the starter view model: first its VAE, then the diffusion model (Zero123, arXiv 2303.11328, at toy size).

    python -m training.views --state DIR --vae-minutes 1.5 --minutes 7 --part 0 0.5 --out DIR

Resumes from ``--state`` when something is there; ``--part A B`` says which part of the schedule this run is. With
``torchrun --nproc-per-node 2`` gradients are averaged over the GPUs. ``--out`` receives the averaged weights.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import DDPMScheduler
from torch import nn
from torch.nn import functional as F

from backend.camera import LOWER_RING_UP_TO
from backend.zero123.conditioning import clip_pixels
from backend.zero123.model import Zero123
from training import pool
from training.view_model import SCHEDULE, SIZE, build, save

VIEWS = 8
"""Pictures of every scene: the input, three around it, two of the second ring, two neighbours."""
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


def as_input(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, S, S, 3) -> (B, 3, S, S) float32 in -1..1."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def detail(x: torch.Tensor) -> torch.Tensor:
    """Differences of neighbouring pixels, down and across, at two scales."""
    half = F.avg_pool2d(x, 2)
    return torch.cat([each.flatten(1) for part in (x, half) for each in (part.diff(dim=2), part.diff(dim=3))], 1)


def all_agree(going: bool, device) -> bool:
    """Whether every process wants to go on: all must stop at the same step."""
    if not dist.is_initialized():
        return going
    flag = torch.tensor(float(going), device=device)
    dist.all_reduce(flag, dist.ReduceOp.MIN)
    return flag.item() > 0


def train_vae(model: Zero123, data: Pool, minutes: float, rank: int, world: int) -> None:
    """Train the VAE on the pool's pictures, then scale its latents to unit variance."""
    vae, begin, going = model.vae, time.time(), True
    twin = HalfTwin(vae)
    optimiser = torch.optim.AdamW(vae.parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    step = 0
    while going:
        done = min((time.time() - begin) / (60 * minutes), 1.0)
        optimiser.param_groups[0]["lr"] = 1.5e-3 * min(1, step / 100) * min(1.0, 2.5 * (1 - done) + 0.01)
        scene = torch.randint(0, len(data.pictures), (128,), device=data.pictures.device)
        view = torch.randint(0, VIEWS, (128,), device=scene.device)
        pictures = as_input(data.pictures[scene, view]).contiguous(memory_format=torch.channels_last)
        latents = twin.copy.encode(pictures.bfloat16()).latent_dist
        rebuilt = twin.copy.decode(latents.sample(), return_dict=False)[0]
        error = rebuilt.float() - pictures
        loss = (
            error.abs().mean()
            + 2 * error.square().mean()
            + detail(error).abs().mean()
            + 2e-5 * latents.kl().float().mean() / 4096
        )
        loss.backward()
        twin.step(optimiser, world)
        step += 1
        if rank == 0 and step % 200 == 0:
            decibel = -10 * math.log10(error.square().mean().item() / 4)
            print(f"vae step {step} loss {loss.item():.4f} psnr {decibel:.2f}", flush=True)
        if step % 50 == 0:
            going = all_agree(time.time() < begin + 60 * minutes, scene.device)
    with torch.no_grad():
        latents = model.encode(as_input(data.pictures[:32].flatten(0, 1)))
        deviation = latents.std()
        if dist.is_initialized():
            dist.broadcast(deviation, 0)
        vae.quant_conv.weight[:4] /= deviation
        vae.quant_conv.bias[:4] /= deviation
        vae.post_quant_conv.weight *= deviation
    if rank == 0:
        print(f"vae: {step} steps, latents' deviation was {deviation.item():.3f}", flush=True)


class HalfTwin:
    """A bfloat16 copy of a module that computes; the float32 original keeps the weights and learns.

    Autocast would run every normalisation in float32 and triple the bytes moved.
    """

    def __init__(self, original: nn.Module):
        self.copy = copy.deepcopy(original).bfloat16().to(memory_format=torch.channels_last)
        self.originals = [each for each in original.parameters() if each.requires_grad]
        self.copies = [each for each in self.copy.parameters() if each.requires_grad]

    def step(self, optimiser: torch.optim.Optimizer, world: int) -> None:
        """One step with the copy's gradients, averaged over the processes, clipped to norm 1."""
        # Cross-attention over a single token never looks at its queries and keys: those have no gradient.
        found = [torch.zeros_like(each) if each.grad is None else each.grad for each in self.copies]
        flat = torch.cat([each.flatten() for each in found]).float()
        if world > 1:
            dist.all_reduce(flat, dist.ReduceOp.AVG)
        flat *= (1 / flat.norm().clamp_min(1e-9)).clamp_max(1.0)
        for each, gradient in zip(self.originals, flat.split([each.numel() for each in self.originals]), strict=True):
            each.grad = gradient.view_as(each)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_copy_(self.copies, self.originals)
        for each in self.copies:
            each.grad = None


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


def train(model: Zero123, data: Pool, args, rank: int, world: int) -> Zero123:
    """Train the diffusion model for ``args.minutes``; returns the model with averaged weights."""
    device = data.pictures.device
    model.vae.requires_grad_(False)
    vae = copy.deepcopy(model.vae).bfloat16()

    def encode(pictures: torch.Tensor) -> torch.Tensor:
        return vae.encode(pictures.bfloat16()).latent_dist.mode()

    for start in range(0, len(data.pictures), pool.CHUNK):
        data.encode(slice(start, start + pool.CHUNK), encode)
    averaged = copy.deepcopy(model)
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(parameters, 1e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step, state = 0, Path(args.state) / "views.pt"
    if state.exists():
        stored = torch.load(state, map_location=device)
        model.load_state_dict(stored["model"])
        averaged.load_state_dict(stored["averaged"])
        optimiser.load_state_dict(stored["optimiser"])
        step = stored["step"]
    twin = HalfTwin(Trainee(model))
    alphas = DDPMScheduler.from_config(SCHEDULE).alphas_cumprod.to(device)
    begin, going = time.time(), True
    first_step, losses = step, torch.zeros(2, device=device)
    while going:
        done = min((time.time() - begin) / (60 * args.minutes), 1.0)
        whole = args.part[0] + done * (args.part[1] - args.part[0])
        rate = min(1.0, step / 400) * (1.0 if whole < 0.4 else 0.5 + 0.5 * math.cos(math.pi * (whole - 0.4) / 0.6))
        optimiser.param_groups[0]["lr"] = args.rate * max(rate, 0.01)
        scene, source, target = draw_pairs(data.angles, args.batch)
        latents, condition = data.latents[scene, target].float(), data.latents[scene, source].float()
        pixels = clip_pixels(as_input(data.pictures[scene, source]), SIZE)
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
        twin.step(optimiser, world)
        step += 1
        decay = min(0.9995, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                [each for each in averaged.parameters() if each.requires_grad], parameters, 1 - decay
            )  # fmt: skip
            losses += torch.stack([error.mean(), (30 * (elevation[:, 0] - truth)).abs().mean()])
        if step % args.refresh == 0:
            data.refresh(encode)
        if step % 200 == 0:
            going = all_agree(time.time() < begin + 60 * args.minutes, device)
            if rank == 0:
                mean = (losses / 200).tolist()
                speed = (step - first_step) * args.batch * world / (time.time() - begin)
                print(f"step {step} error {mean[0]:.4f} elevation {mean[1]:.2f} deg {speed:.0f} samples/s", flush=True)
            losses.zero_()
    if rank == 0:
        state.parent.mkdir(parents=True, exist_ok=True)
        kept = {"model": model, "averaged": averaged, "optimiser": optimiser}
        torch.save({name: part.state_dict() for name, part in kept.items()} | {"step": step}, state)
    return averaged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, help="folder that keeps everything needed to resume")
    parser.add_argument("--out", required=True, help="folder for the averaged weights, float16")
    parser.add_argument("--vae-minutes", type=float, default=0.0)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--part", type=float, nargs=2, default=(0.0, 1.0))
    parser.add_argument("--scenes", type=int, default=16384)
    parser.add_argument("--batch", type=int, default=512, help="samples a step on each GPU")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--refresh", type=int, default=3, help="steps between two new chunks of scenes")
    parser.add_argument("--start", type=int, default=0, help="first seed of this run's scenes")
    args = parser.parse_args()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(args.start + rank)
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    begin = time.time()
    data = Pool(args.scenes, args.start + rank * 50_000_000, max(2, (os.cpu_count() or 8) // world - 2), device)
    torch.cuda.synchronize()
    if world > 1:
        dist.init_process_group("nccl")
    if rank == 0:
        print(f"pool: {args.scenes} scenes of {VIEWS} views in {time.time() - begin:.0f} s", flush=True)
    torch.manual_seed(0)
    model = build().to(device)
    torch.manual_seed(args.start + rank + 1)
    state = Path(args.state) / "vae.pt"
    if args.vae_minutes:
        train_vae(model, data, args.vae_minutes, rank, world)
        if rank == 0:
            state.parent.mkdir(parents=True, exist_ok=True)
            torch.save(model.vae.state_dict(), state)
    else:
        model.vae.load_state_dict(torch.load(state, map_location=device))
    if args.minutes:
        model = train(model, data, args, rank, world)
    if rank == 0:
        save(model, Path(args.out), quantise=False)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
