"""UVs and a texture for a mesh: from the input image where visible, generated views elsewhere, else the field."""

from .baking import bake
from .unwrapping import unwrap

__all__ = ["bake", "unwrap"]
