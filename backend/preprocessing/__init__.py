"""From a photograph to the object alone, centered on a square canvas."""
