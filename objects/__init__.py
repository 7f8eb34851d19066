"""Textured meshes of real things: packs of them, and what rendering them needs."""
