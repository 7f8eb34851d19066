"""UNet calls replayed as CUDA graphs give the values of plain calls (on a CUDA GPU only)."""

from __future__ import annotations

import pytest
import torch

from backend.views.zero123.joint_attention import use_joint_attention
from tests.helpers.training_runs import joint_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def call(model, batch: int, t: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noisy, condition, tokens = (
        torch.randn(*shape, generator=generator).cuda()
        for shape in ((batch, 4, 4, 4), (batch, 4, 4, 4), (batch, 1, 24))
    )
    with torch.inference_mode():
        return model.denoise(noisy, t, condition, tokens)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_replayed_calls_equal_plain_ones(dtype):
    model = joint_model().cuda().to(dtype)
    calls = [
        (views, batch, t, seed) for seed in range(4) for views, batch in ((1, 6), (3, 6), (2, 2)) for t in (900, 5)
    ]
    results = {}
    for model.uses_cuda_graphs in (False, True):
        kept = []
        for views, batch, t, seed in calls:
            use_joint_attention(model.unet, views)
            kept.append(call(model, batch, t, seed))
        results[model.uses_cuda_graphs] = kept
    for plain, replayed in zip(results[False], results[True], strict=True):
        torch.testing.assert_close(replayed, plain, rtol=0, atol=1e-6 if dtype is torch.float32 else 2e-3)


def test_a_result_is_not_overwritten_by_the_next_call():
    model = joint_model().cuda()
    use_joint_attention(model.unet, 1)
    results = [call(model, 2, 10, seed) for seed in (0, 1, 2, 2)]
    assert torch.equal(results[2], results[3]) and not torch.equal(results[1], results[2])


def test_outside_of_inference_mode_gradients_flow():
    model = joint_model().cuda().requires_grad_(True)
    use_joint_attention(model.unet, 1)
    noisy = torch.randn(2, 4, 4, 4, device="cuda")
    model.denoise(noisy, 5, noisy, torch.zeros(2, 1, 24, device="cuda")).sum().backward()
    assert model.unet.conv_in.weight.grad is not None
