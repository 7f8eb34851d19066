"""Field -> closed, manifold mesh with a face budget, and the measurements that prove it."""

from .extraction import extract
from .measurement import measure

__all__ = ["extract", "measure"]
