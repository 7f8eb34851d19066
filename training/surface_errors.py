"""Mean errors of the surface network between two lines of its log."""

from __future__ import annotations

import torch

from training.distributed import ProcessGroup, mean_over_ranks
from training.surface_loss import SurfaceErrors

KINDS = "true", "generated", "objects", "procedural"


class ErrorMeans:
    """Sums, on the device, over steps and scenes."""

    def __init__(self, group: ProcessGroup):
        self._group = group
        self._sums = torch.zeros(3 + 2 * len(KINDS), device=group.device)

    @torch.no_grad()
    def add(self, loss: torch.Tensor, errors: SurfaceErrors, batch: dict[str, torch.Tensor]) -> None:
        """One step's loss and the errors of its batch."""
        generated, is_object = batch["is_generated"], batch["is_object"]
        kinds = torch.stack([~generated, generated, is_object, ~is_object]).float()
        ones = torch.ones_like(loss)
        self._sums += torch.cat(
            [torch.stack([ones, loss, errors.slope.mean()]), kinds.sum(1), kinds @ errors.near]
        )  # fmt: skip

    def take(self) -> dict[str, float]:
        """The means over all processes since the last call: ``loss``, the error of the slopes, and the error near the
        surface by kind of scene, where there was any."""
        steps, loss, slope, *rest = mean_over_ranks(self._sums, self._group).tolist()
        self._sums.zero_()
        counts, totals = rest[: len(KINDS)], rest[len(KINDS) :]
        near = {
            f"near_{kind}": total / count
            for kind, count, total in zip(KINDS, counts, totals, strict=True)
            if count
        }  # fmt: skip
        return {"loss": loss / steps, "slope": slope / steps, **near}
