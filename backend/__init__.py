"""Image to Mesh: the backend. It never imports bpy and runs alone: ``python -m backend --help``.

In the syntax of every Python, like ``__main__``, which says which one is needed.
"""

__all__ = ["ImageToMesh"]


def __getattr__(name):
    """``ImageToMesh``, imported at first use: Blender imports modules of this package and has no PyTorch."""
    if name == "ImageToMesh":
        from .library_variables import set_library_variables

        set_library_variables()
        from .api import ImageToMesh

        return ImageToMesh
    raise AttributeError("module " + repr(__name__) + " has no attribute " + repr(name))
