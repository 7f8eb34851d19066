"""What a job's report warns of."""

from __future__ import annotations

import pytest

from backend.job_report import collect_warnings


def report(
    confidence: float = 0.9, recall: float = 0.97, cutout: tuple[str, ...] = (), ran_out_of_memory: bool = False
) -> dict:
    return {
        "ran_out_of_memory": ran_out_of_memory,
        "cutout": {"warnings": list(cutout)},
        "elevation": {"degrees": 18.4, "confidence": confidence, "source": "predicted"},
        "mesh": {"silhouette_recall": recall},
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, []),
        ({"confidence": 0.3}, ["18 degrees"]),
        ({"recall": 0.6}, ["40%"]),
        ({"ran_out_of_memory": True}, ["Low Memory"]),
        ({"cutout": ("Cut off.",), "confidence": 0.0, "recall": 0.1}, ["Cut off", "uncertain", "90%"]),
    ],
)
def test_warnings_name_what_is_doubtful(values, said):
    warnings = collect_warnings(report(**values))
    assert len(warnings) == len(said)
    assert all(part in warning for part, warning in zip(said, warnings, strict=True))
