"""Field -> closed, manifold mesh with a face budget, and the measurements that prove it."""

from .extraction import extract
from .grid_sampling import cube
from .measurement import measure

__all__ = ["cube", "extract", "measure"]
