"""Work on several threads."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest
import torch

from backend.threads import map_on_threads


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_keep_the_order_of_the_items():
    def wait(item: int) -> int:
        time.sleep(0.02 * (item % 3 == 0))
        return item * item

    assert list(map_on_threads(wait, range(20))) == [item * item for item in range(20)]
    assert not list(map_on_threads(wait, []))


def test_items_run_at_the_same_time_and_not_far_ahead():
    both, begun = threading.Barrier(2, timeout=10), []

    def meet(item: int) -> int:
        begun.append(item)
        both.wait()  # breaks unless two run at once
        return item

    with closing(map_on_threads(meet, range(40))) as results:
        assert next(results) == 0
        time.sleep(0.1)
        assert len(begun) <= 4


def test_errors_are_raised_and_end_the_work():
    begun = []

    def fail(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise MemoryError(item)
        return item

    with pytest.raises(MemoryError):
        list(map_on_threads(fail, range(100)))
    assert len(begun) <= 6


def test_closing_leaves_the_rest_undone_and_no_thread():
    begun, before = [], threading.active_count()
    with closing(map_on_threads(lambda item: begun.append(item), range(100))) as results:
        next(results)
    assert len(begun) <= 5
    assert threading.active_count() == before
