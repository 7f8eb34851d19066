"""UNets compiled ahead of time: the same values, with the network's own weights, and nothing that ends a job."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from backend.__main__ import main
from backend.errors import ErrorCode, UserError
from backend.views.zero123 import compiled_unet
from backend.views.zero123.cuda_graphs import GraphedUNet
from backend.views.zero123.joint_attention import use_joint_attention
from tests.helpers.training_runs import joint_model


class SmallUNet(nn.Module):
    """Called as diffusers' UNet is, and small: PyTorch compiles for a minute all the same."""

    def __init__(self):
        super().__init__()
        self.config = {"attention_head_dim": 8}
        self.conv, self.norm = nn.Conv2d(8, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.attn1 = nn.Identity()
        self.attn1.processor = None

    def forward(self, sample, timestep, encoder_hidden_states, return_dict):
        hidden = nn.functional.silu(self.norm(self.conv(sample)))
        return (hidden + (timestep / 1000 * encoder_hidden_states.mean((1, 2)))[:, None, None, None],)


@pytest.fixture
def unet(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path))
    torch.manual_seed(0)
    return SmallUNet().requires_grad_(False)


def inputs(batch: int, seed: int = 0, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sample, tokens = (torch.randn(*shape, generator=generator) for shape in ((batch, 8, 8, 8), (batch, 1, 16)))
    return sample.to(device), torch.full((batch,), 500.0, device=device), tokens.to(device)


def plain(unet: nn.Module, given: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return unet(*given[:2], encoder_hidden_states=given[2], return_dict=False)[0]


@pytest.mark.compiler
def test_compiled_calls_equal_plain_ones_and_follow_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path))
    model = joint_model().requires_grad_(False)
    use_joint_attention(model.unet, 1)
    zeros = model.unet_inputs(2)
    path = compiled_unet.compile_unet(model.unet, zeros)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    compiled = compiled_unet.load_compiled(model.unet, zeros)
    assert compiled is not None and compiled_unet.load_compiled(model.unet, model.unet_inputs(3)) is None
    generator = torch.Generator().manual_seed(0)
    for t in (999.0, 1.0):
        given = tuple(torch.randn(tensor.shape, generator=generator) for tensor in zeros)
        given = (given[0], torch.full((2,), t), given[2])
        torch.testing.assert_close(compiled(*given), plain(model.unet, given), rtol=0, atol=1e-5)
    before = compiled(*given)
    model.unet.conv_out.weight *= 2
    torch.testing.assert_close(compiled(*given), plain(model.unet, given), rtol=0, atol=1e-5)
    assert not torch.allclose(compiled(*given), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_compiled_calls_are_replayed_on_a_gpu(unet):
    unet.cuda()
    compiled_unet.compile_unet(unet, inputs(2, device="cuda"))
    graphed = GraphedUNet(unet)
    with torch.inference_mode():
        for seed in range(4):
            given = inputs(2, seed, "cuda")
            torch.testing.assert_close(graphed(*given), plain(unet, given), rtol=0, atol=1e-5)
            turned = (given[0].to(memory_format=torch.channels_last), *given[1:])
            torch.testing.assert_close(graphed(*turned), plain(unet, given), rtol=0, atol=1e-5)
    assert [call is not None for call in graphed._compiled.values()] == [True]


def test_a_damaged_file_is_logged_and_not_used(unet, caplog):
    path = compiled_unet.compiled_path(unet, inputs(2))
    assert compiled_unet.load_compiled(unet, inputs(2)) is None and not caplog.records
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\3\4" + bytes(100))
    with caplog.at_level(logging.WARNING):
        assert compiled_unet.load_compiled(unet, inputs(2)) is None
    assert str(path) in caplog.text


def test_what_cannot_be_loaded_is_not_kept_and_the_log_says_why(unet, monkeypatch, caplog):
    def link_wrongly(_, package_path: str):
        Path(package_path).write_bytes(b"PK\3\4" + bytes(100))

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", link_wrongly)
    path = compiled_unet.compiled_path(unet, inputs(2))
    with caplog.at_level(logging.WARNING), pytest.raises(UserError) as raised:
        compiled_unet.compile_unet(unet, inputs(2))
    assert raised.value.code == ErrorCode.NO_COMPILER
    assert "Error" in caplog.text
    assert list(path.parent.iterdir()) == []


def test_every_structure_shape_and_precision_has_its_own_file(unet):
    other = SmallUNet()
    other.conv = nn.Conv2d(8, 6, 3, padding=1)
    halves = tuple(tensor.half() for tensor in inputs(2))
    heads = SmallUNet()
    heads.config = {"attention_head_dim": 4}
    cases = [(unet, inputs(2)), (unet, inputs(3)), (unet, halves), (other, inputs(2)), (heads, inputs(2))]
    assert len({compiled_unet.compiled_path(*case) for case in cases}) == len(cases)
    assert compiled_unet.compiled_path(unet, inputs(2, seed=1)) == compiled_unet.compiled_path(*cases[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU")
def test_compile_without_a_gpu_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path))
    assert main(["compile", "--weights", "starter"]) == 1
    assert "error: This computer has no usable cuda device" in capsys.readouterr().err
    assert not (tmp_path / "compiled").exists()
