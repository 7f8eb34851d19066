"""Train the starter surface network on exact distances (reference: One-2-3-45, arXiv 2306.16928, section 3.3).

    python -m training.surface --state DIR --minutes 6 --out DIR               on true pictures
    python -m training.surface --state DIR --minutes 3 --views DIR --out DIR   half of them painted

The input picture is always true; the others are true or painted. Half of the samples are shown cameras that are a
little wrong, as a misjudged elevation makes them. ``--part A B`` says which part of the learning rate's schedule this
run is. With ``torchrun --nproc-per-node 2`` gradients are averaged over the GPUs.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from backend.surface.network import SurfaceNetwork, load
from backend.views.zero123.model import Zero123
from training import pool, twin
from training.back_projection import OnePassNetwork
from training.evaluate_surface import report
from training.group_norm import fuse
from training.surface_loss import loss_of
from training.surface_model import CONFIG, save
from training.surface_store import NEIGHBORS, Store

KINDS = "true views", "painted views"
REFRESH = 20, 200
"""Steps between two new chunks of scenes, true and painted (which cost many times more)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, help="folder that keeps everything needed to resume")
    parser.add_argument("--from", dest="weights", help="folder of weights to start from")
    parser.add_argument("--out", required=True, help="folder for the averaged weights, float16")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--views", help="folder of a view model that paints half of the views")
    parser.add_argument("--scenes", type=int, default=4096)
    parser.add_argument("--painted", type=int, default=2048)
    parser.add_argument("--part", type=float, nargs=2, default=(0.0, 1.0))
    parser.add_argument("--batch", type=int, default=16, help="samples a step on each GPU")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=500_000_000, help="first seed of this run's scenes")
    args = parser.parse_args()
    rank, world, device = twin.begin_process(args.seed)
    begin = time.time()
    stream = pool.placed_scenes(args.seed + rank * 50_000_000, max(2, (os.cpu_count() or 8) // (3 * world)), device)
    painter = Zero123.load(args.views, device, torch.bfloat16) if args.views else None
    held_out = Store(pool.CHUNK, stream, None, True), painter and Store(pool.CHUNK, stream, painter, False)
    stores = [Store(args.scenes, stream, None, True)]
    if painter:
        stores.append(Store(args.painted, stream, painter, False))
    if rank == 0:
        counts = " and ".join(f"{len(store.pictures)} of {kind}" for kind, store in zip(KINDS, stores, strict=False))
        print(f"scenes: {counts}, after {time.time() - begin:.0f} s", flush=True)
    if world > 1:
        dist.init_process_group("nccl")
    network = OnePassNetwork(**CONFIG).to(device)
    if args.weights:
        network.load_state_dict(load(args.weights, device).state_dict())
    averaged = SurfaceNetwork(**CONFIG).to(device).requires_grad_(False)
    # Not fused: moments read back from a state are contiguous, the parameters channels last.
    optimizer = torch.optim.AdamW(network.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    step, state = 0, Path(args.state) / "surface.pt"
    if state.exists():
        stored = torch.load(state, map_location=device)
        network.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
    averaged.load_state_dict(network.state_dict())
    fuse(network)
    network.features.to(memory_format=torch.channels_last)
    network.unet.to(memory_format=torch.channels_last_3d)
    model = nn.parallel.DistributedDataParallel(network) if world > 1 else network
    begin, total, going = time.time(), 0.0, True
    while going:
        done = (time.time() - begin) / (60 * args.minutes)
        turn, which = divmod(step, len(stores))
        store, neighbors = stores[which], NEIGHBORS[turn % len(NEIGHBORS)]
        optimizer.param_groups[0]["lr"] = args.rate * twin.rate_at(step + 1, done, args.part)
        loss, near = loss_of(model, *store.draw(args.batch, neighbors), wrong=5.0 if painter else 2.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        store.learn(near)
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(
                list(averaged.parameters()), list(network.parameters()), 1 - min(0.998, step / (step + 10))
            )
            total += near.mean()
        for store, every in zip(stores, REFRESH, strict=False):
            if step % every == 0:
                store.refresh()
        if step % 50 == 0:
            going = twin.all_agree(time.time() < begin + 60 * args.minutes, device)
        if step % 200 == 0:
            if rank == 0:
                speed = step / (time.time() - begin)
                print(f"surface step {step} near {float(total) / 200:.5f} {speed:.1f} steps/s", flush=True)
            total = 0.0
    if rank == 0:
        Path(args.state).mkdir(parents=True, exist_ok=True)
        torch.save({"model": network.state_dict(), "optimizer": optimizer.state_dict()}, state)
        Path(args.out).mkdir(parents=True, exist_ok=True)
        save(averaged, Path(args.out), quantize=False)
    if world > 1:
        dist.destroy_process_group()
    if rank:
        return
    for name, store in zip(KINDS, held_out, strict=True):
        if store:
            print(name, report(averaged, store, CONFIG["half_side"]), flush=True)


if __name__ == "__main__":
    main()
