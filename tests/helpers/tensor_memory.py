"""The memory that tensors take at the fullest moment: on a CPU, where PyTorch does not count it."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TensorMemory(TorchDispatchMode):
    """Inside, counts the bytes of all tensors that operations return, until they are freed; of what shares memory,
    once. What libraries need inside an operation is not counted."""

    def __init__(self):
        super().__init__()
        self._sizes: dict[int, int] = {}
        self.peak = 0
        """Bytes at the fullest moment."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, torch.Tensor):
                storage = each.untyped_storage()
                if storage._cdata not in self._sizes:
                    self._sizes[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self._sizes.pop, storage._cdata)
        self.peak = max(self.peak, sum(self._sizes.values()))
        return result
