"""How many views go through a network at once."""

from __future__ import annotations

import pytest
import torch

from backend.views.zero123.batches import Batches

GIB = 2**30


@pytest.mark.parametrize(
    ("free", "held", "used", "expected"),
    [
        (80 * GIB, 0, 0, 16),
        (2 * GIB, 0, 0, 16),
        (1 * GIB, 0, 0, 8),  # a fifth of it is left alone
        (1 * GIB, 4 * GIB, 3 * GIB, 16),  # PyTorch holds another one that nobody uses
        (0.1 * GIB, 3 * GIB, 3 * GIB, 1),
        (0, 0, 0, 1),  # whether one fits is tried
    ],
)
def test_size_follows_the_free_memory(monkeypatch, free, held, used, expected):
    """Views of 0.1 GiB each, on GPUs that this computer may not have."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free), 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: held)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: used)
    batches = Batches(16)
    batches.fit(GIB // 10, torch.device("cuda"))
    assert batches.size == expected and not batches.ran_out_of_memory


def test_elsewhere_the_size_stays():
    batches = Batches(16)
    batches.fit(2**50, torch.device("cpu"))
    assert batches.size == 16


def test_everything_is_done_once_in_order():
    batches = Batches(4)
    assert batches.run(10, lambda batch: list(range(10))[batch], lambda: None) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_size_stays_small_once_memory_ran_out():
    batches, sizes, freed = Batches(16), [], []

    def work(batch: slice) -> range:
        sizes.append(batch.stop - batch.start)
        if sizes[-1] > 5:
            raise torch.OutOfMemoryError("out of memory")
        return range(batch.start, batch.stop)

    for _ in range(2):
        parts = batches.run(12, work, lambda: freed.append(True))
        assert [number for part in parts for number in part] == list(range(12))
    assert sizes == [12, 6, *[3] * 4, *[3] * 4] and len(freed) == 2
