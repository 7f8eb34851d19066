"""The public checkpoint -> a folder of our own layout -> the network. Every name and every shape has to fit."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ...errors import ErrorCode, UserError
from ...io.checkpoint import read_checkpoint
from ...io.tensors import read_tensors, state_dict_mismatch, write_tensors
from .model import One2345Model
from .network import One2345

KIND = "one2345"
NETWORKS = ("pyramid_feature_network", "sdf_network_lod0", "rendering_network_lod0", "variance_network_lod0")
"""The checkpoint's parts that are used; what else is in it (optimizer, counters, a second level) is not."""
COUNTER = "num_batches_tracked"


def recognize(keys: set[str]) -> bool:
    """Whether a file with these top-level names is meant to be a One-2-3-45 reconstruction checkpoint."""
    return not keys.isdisjoint(NETWORKS)


def convert(source: Path, folder: Path) -> None:
    """Write the checkpoint ``source`` (``ckpt_215000.pth``) as ``model.safetensors`` and ``config.json`` in ``folder``.

    Raises UserError (those of ``read_checkpoint``, ``weights_broken``, ``weights_mismatch``); then nothing is written.
    """
    tensors = _flattened(read_checkpoint(Path(source)), source)
    with torch.device("meta"):
        expected = One2345().state_dict()
    shapes = ({name: each.shape for name, each in part.items()} for part in (expected, tensors))
    if wrong := state_dict_mismatch(*shapes):
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{source} is not a One-2-3-45 checkpoint of the released kind: it {wrong}. Download it again.",
        )
    tensors = {name: each.float() if each.is_floating_point() else each for name, each in tensors.items()}
    unfit = [name for name, each in tensors.items() if each.dtype != torch.float32 or not each.isfinite().all()]
    if unfit:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN, f"{source} is damaged: {min(unfit)} holds no numbers. Download it again."
        )
    write_tensors(Path(folder) / "model.safetensors", tensors, quantize=False)
    (Path(folder) / "config.json").write_text(json.dumps({"kind": KIND}), encoding="utf-8")


def load(folder: Path | str, device: str | torch.device = "cpu") -> One2345Model:
    """The network that ``convert`` wrote into ``folder``. Raises UserError."""
    tensors = read_tensors(Path(folder) / "model.safetensors")
    try:
        network = One2345.of(tensors)
    except RuntimeError as error:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN, f"{folder} does not hold a One-2-3-45 network: install these weights again."
        ) from error
    return One2345Model(network.requires_grad_(False).to(device))


def _flattened(content: dict, source: Path) -> dict[str, torch.Tensor]:
    """The parts as one dictionary, ``NETWORK.name``; counters of batches, which older files lack, are left out."""
    tensors = {}
    for network in NETWORKS:
        part = content.get(network)
        if not isinstance(part, dict) or not all(
            isinstance(each, torch.Tensor) and each.layout == torch.strided for each in part.values()
        ):
            raise UserError(
                ErrorCode.WEIGHTS_MISMATCH,
                f"{source} is not a whole One-2-3-45 checkpoint: its part {network} is missing. Download it again.",
            )
        tensors |= {f"{network}.{name}": each for name, each in part.items() if not str(name).endswith(COUNTER)}
    return tensors
