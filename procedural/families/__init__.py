"""Procedural shape families, a few related ones a file; each family is a function rng -> (P, 32) float32 scene."""
