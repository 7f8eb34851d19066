"""Families of procedural objects, a few related ones a file; a family is a function rng -> rows (P, 32) float32."""
