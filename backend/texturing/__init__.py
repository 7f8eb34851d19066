"""A mesh gets UVs and a texture: the picture where it was seen, generated views elsewhere, the field for the rest."""

from .baking import bake
from .unwrapping import unwrap

__all__ = ["bake", "unwrap"]
