"""Work on several threads. NumPy, OpenCV, Embree and PyTorch leave Python's lock free while they compute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_on_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """``function`` of each item, in their order, on as many threads as PyTorch may use.

    At most twice as many items as threads are begun before their results are taken: each may need much memory. Raises
    what ``function`` raises. Close this generator to leave the rest undone.
    """
    count = torch.get_num_threads()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count) as executor:
        try:
            for item in items:
                waiting.append(executor.submit(function, item))
                if len(waiting) == 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
