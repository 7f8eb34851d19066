"""Ray casting against meshes and turntable previews."""
