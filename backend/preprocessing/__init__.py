"""From a photograph to the object alone, centered."""
