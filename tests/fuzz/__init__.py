"""Damaged and hostile input for every boundary: ``python -m tests.fuzz TARGET --cases 100000``."""
