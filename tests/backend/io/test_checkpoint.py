"""Checkpoints that declare more tensors than the file can hold are refused before memory is asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from backend.errors import ErrorCode, UserError
from backend.io.checkpoint import read_checkpoint


def _zero_strides() -> dict:
    return {"weight": torch.zeros(1).expand(200_000, 200_000)}


def _nested_zero_strides() -> dict:
    return {"state_dict": {"weight": torch.zeros(1).expand(200_000, 200_000)}, "epoch": 3}


def _one_tensor_under_many_names() -> dict:
    tensor = torch.zeros(100_000)
    return {f"layer {index}": tensor for index in range(1000)}


def _many_views_of_one_storage() -> dict:
    tensor = torch.zeros(100_000)
    return {f"layer {index}": tensor.view(100, 1000) for index in range(1000)}


def _sparse() -> dict:
    return {"weight": torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), torch.ones(1), (200_000, 200_000))}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before PyTorch 1.6"])
@pytest.mark.parametrize(
    "make",
    [_zero_strides, _nested_zero_strides, _one_tensor_under_many_names, _many_views_of_one_storage, _sparse],
)
def test_checkpoint_that_declares_more_than_it_holds_is_refused(tmp_path, make: Callable[[], dict], is_zip: bool):
    path = tmp_path / "bomb.ckpt"
    torch.save(make(), path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(UserError, match=r"bomb\.ckpt") as refused:
        read_checkpoint(path)
    assert refused.value.code in (ErrorCode.WEIGHTS_REFUSED, ErrorCode.WEIGHTS_BROKEN)


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before PyTorch 1.6"])
def test_checkpoint_with_tied_weights_is_read(tmp_path, is_zip):
    embedding = torch.rand(1000, 1000)
    content = {"state_dict": {"embedding": embedding, "head": embedding, "row": embedding[3]}}
    torch.save(content, tmp_path / "tied.ckpt", _use_new_zipfile_serialization=is_zip)
    tensors = read_checkpoint(tmp_path / "tied.ckpt")["state_dict"]
    assert all(torch.equal(tensors[name], tensor) for name, tensor in content["state_dict"].items())
