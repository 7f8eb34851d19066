"""Field -> closed, manifold mesh with a face budget, and measurements of the result."""

from .extraction import extract
from .measurement import measure

__all__ = ["extract", "measure"]
