"""How high the input image's camera stood above the object."""
