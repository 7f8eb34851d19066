"""Field -> closed, manifold mesh with a face budget, and measurements of the result."""

from .evidence import InputSilhouette
from .extraction import extract
from .measurement import measure

__all__ = ["InputSilhouette", "extract", "measure"]
