"""One-2-3-45's own reconstruction network (arXiv 2306.16928, section 3.3): what its public checkpoint was trained as.

Module and parameter names follow that checkpoint, so that a strict ``load_state_dict`` is the check of its layout.
Behavior that looks odd (statistics of the input at inference, unmasked sums, interpolation that differs at the border)
is what the weights were trained with and is intentional.
"""

from .field import One2345Field, from_tensors
from .loading import KIND, load
from .model import One2345Model

__all__ = ["KIND", "One2345Field", "One2345Model", "from_tensors", "load"]
