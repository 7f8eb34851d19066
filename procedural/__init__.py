"""Procedural shapes: schema, signed distance functions, families."""
