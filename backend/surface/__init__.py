"""Views -> field: the sparse-view surface network and the field it makes."""

from .field import VolumeField, load_field
from .network import SurfaceNetwork, load

__all__ = ["SurfaceNetwork", "VolumeField", "load", "load_field"]
