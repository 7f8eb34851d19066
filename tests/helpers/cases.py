"""Cases of a test that run with ``python3 tests/run.py --full`` only, because others like them always run."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def in_full(*arguments: object):
    """A case with these arguments that runs with ``--full`` only."""
    return pytest.param(*arguments, marks=pytest.mark.full)


def others_in_full(cases: Iterable, *always: object) -> list:
    """Cases with one argument each, of which these run always and all others with ``--full`` only."""
    return [case if case in always else in_full(case) for case in cases]
