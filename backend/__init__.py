"""Image to Mesh: the backend. It never imports bpy and runs alone: ``python -m backend --help``."""
