"""The public checkpoint -> a folder in our own layout -> the network. All names and shapes must match."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ...errors import ErrorCode, UserError
from ...io.checkpoint import read_checkpoint
from ...io.tensors import read_tensors, state_dict_mismatch, write_tensors
from .model import One2345Model
from .network import One2345

KIND = "one2345"
NETWORKS = ("pyramid_feature_network", "sdf_network_lod0", "rendering_network_lod0", "variance_network_lod0")
"""The sub-networks of the checkpoint that are used; its other content (optimizer, counters, a second level) is not."""
COUNTER = "num_batches_tracked"


def recognize(keys: set[str]) -> bool:
    """Whether a file with these top-level keys is (meant to be) a One-2-3-45 reconstruction checkpoint."""
    return not keys.isdisjoint(NETWORKS)


def convert(source: Path, folder: Path) -> None:
    """Write the checkpoint ``source`` (``ckpt_215000.pth``) as ``model.safetensors`` and ``config.json`` in ``folder``.

    Raises UserError ``weights_broken``, ``weights_mismatch`` or one of ``read_checkpoint``'s before writing anything.
    """
    tensors = _flattened(read_checkpoint(Path(source)), source)
    with torch.device("meta"):
        expected = One2345().state_dict()
    expected_shapes = {name: tensor.shape for name, tensor in expected.items()}
    if wrong := state_dict_mismatch(expected_shapes, {name: tensor.shape for name, tensor in tensors.items()}):
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{source} is not the released One-2-3-45 checkpoint (it {wrong}): download it again.",
        )
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    invalid = [name for name, tensor in tensors.items() if tensor.dtype != torch.float32 or not tensor.isfinite().all()]
    if invalid:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"{source} is damaged ({min(invalid)} is not a finite floating-point tensor): download it again.",
        )
    write_tensors(Path(folder) / "model.safetensors", tensors, quantize=False)
    (Path(folder) / "config.json").write_text(json.dumps({"kind": KIND}), encoding="utf-8")


def load(folder: Path | str, device: str | torch.device = "cpu") -> One2345Model:
    """The network that ``convert`` wrote into ``folder``. Raises UserError."""
    tensors = read_tensors(Path(folder) / "model.safetensors")
    try:
        network = One2345.from_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN, f"{folder} does not contain a One-2-3-45 network: install these weights again."
        ) from error
    return One2345Model(network.requires_grad_(False).to(device))


def _flattened(content: dict[str, Any], source: Path) -> dict[str, torch.Tensor]:
    """All state dicts as one, ``NETWORK.name``, without the batch counters, which older files lack."""
    tensors = {}
    for network in NETWORKS:
        state = content.get(network)
        if not isinstance(state, dict) or not all(
            isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided for tensor in state.values()
        ):
            raise UserError(
                ErrorCode.WEIGHTS_MISMATCH,
                f"{source} is not a complete One-2-3-45 checkpoint ({network} is missing): download it again.",
            )
        tensors |= {f"{network}.{name}": tensor for name, tensor in state.items() if not str(name).endswith(COUNTER)}
    return tensors
