"""Checkpoints of a training run: a folder with the averaged weights in shards, and the trainer's own state beside them.

``checkpoint.json`` holds the step, the configuration and the names of the shards. Shards are safetensors of at most
16 MiB, so that a run can be moved between machines: float16, or integers with one scale per output channel, compressed
with LZMA. ``trainer.pt`` (master weights and optimizer, float32) is several times larger and may be left behind: a run
then goes on from the averaged weights with a new optimizer.

    python -m training.checkpoint IN OUT --bits 7      # quantize the averaged weights of a checkpoint
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save

from training.config import RunConfig, config_from_dict

SHARD_BYTES = 16 * 2**20
SCALE_SUFFIX = ".scale"
# Quantized weights are nearly noise: literals without context compress them best.
LZMA_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]


@dataclass(frozen=True)
class Checkpoint:
    """What ``load_checkpoint`` read."""

    step: int
    config: RunConfig
    averaged: dict[str, torch.Tensor]
    """Averaged weights, float32 on the CPU."""
    trainer: dict | None
    """``model`` and ``optimizer`` state, where it is there and as old as the averaged weights."""


def save_checkpoint(
    folder: Path,
    step: int,
    config: RunConfig,
    averaged: dict[str, torch.Tensor],
    trainer: dict | None = None,
    bits: int | None = None,
) -> None:
    """Write a checkpoint; ``bits`` 2..8 quantizes and compresses the averaged weights, None stores them as float16.

    ``checkpoint.json`` is replaced last and by renaming: an interrupted save leaves the earlier checkpoint valid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = []
    for number, shard in enumerate(_shards(averaged), 1):
        name = f"averaged-{step:06d}-{number}.safetensors"
        if bits is None:
            data = save({key: tensor.half().contiguous().cpu() for key, tensor in shard.items()})
        else:
            name += ".xz"
            data = lzma.compress(save(_quantize_all(shard, bits)), filters=LZMA_FILTERS)
        (folder / name).write_bytes(data)
        shards.append(name)
    if trainer is not None:
        torch.save(trainer | {"step": step}, folder / "trainer.pt.partial")
        (folder / "trainer.pt.partial").replace(folder / "trainer.pt")
    description = {"step": step, "shards": shards, "config": dataclasses.asdict(config)}
    (folder / "checkpoint.json.partial").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    (folder / "checkpoint.json.partial").replace(folder / "checkpoint.json")
    for path in folder.glob("averaged-*"):
        if path.name not in shards:
            path.unlink()


def has_checkpoint(folder: Path) -> bool:
    return (folder / "checkpoint.json").exists()


def checkpoint_config(folder: Path) -> RunConfig:
    """The configuration of the checkpoint in ``folder``."""
    return config_from_dict(_description(folder)["config"])


def load_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in ``folder``. Raises FileNotFoundError where there is none."""
    description = _description(folder)
    averaged: dict[str, torch.Tensor] = {}
    for name in description["shards"]:
        data = (folder / name).read_bytes()
        averaged |= _dequantize_all(load(lzma.decompress(data) if name.endswith(".xz") else data))
    trainer = None
    if (folder / "trainer.pt").exists():
        trainer = torch.load(folder / "trainer.pt", map_location="cpu")
        if trainer["step"] != description["step"]:
            trainer = None
    return Checkpoint(description["step"], config_from_dict(description["config"]), averaged, trainer)


def _description(folder: Path) -> dict:
    return json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))


def _shards(tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """Split so that each shard stays below ``SHARD_BYTES`` in float16, with room for the header."""
    shards, room = [{}], SHARD_BYTES - 2**18
    for name, tensor in tensors.items():
        if room < 2 * tensor.numel():
            shards.append({})
            room = SHARD_BYTES - 2**18
        shards[-1][name] = tensor
        room -= 2 * tensor.numel()
    return shards


def _quantize_all(tensors: dict[str, torch.Tensor], bits: int) -> dict[str, torch.Tensor]:
    """Matrices as int8 tensors of 2^bits - 1 levels with float16 scales, everything else as float16."""
    stored = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2:
            stored[name] = tensor.half().contiguous().cpu()
            continue
        flat, most = tensor.detach().float().cpu().flatten(1), 2 ** (bits - 1) - 1
        scale = (flat.abs().amax(1) / most).clamp_min(2.0**-24).half()
        levels = (flat / scale.float()[:, None]).round().clamp(-most, most)
        stored[name], stored[name + SCALE_SUFFIX] = levels.to(torch.int8).view(tensor.shape), scale
    return stored


def _dequantize_all(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, tensor in stored.items():
        if name.endswith(SCALE_SUFFIX) and name.removesuffix(SCALE_SUFFIX) in stored:
            continue
        scale = stored.get(name + SCALE_SUFFIX)
        tensors[name] = tensor.float()
        if scale is not None:
            tensors[name] *= scale.float().view(-1, *[1] * (tensor.dim() - 1))
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of a checkpoint")
    parser.add_argument("target", type=Path, help="folder for the quantized checkpoint")
    parser.add_argument("--bits", type=int, default=8, choices=range(2, 9))
    args = parser.parse_args()
    checkpoint = load_checkpoint(args.source)
    save_checkpoint(args.target, checkpoint.step, checkpoint.config, checkpoint.averaged, bits=args.bits)
    print(f"{args.target}: {sum(path.stat().st_size for path in args.target.iterdir()) / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
