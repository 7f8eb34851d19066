"""Weight files: where they are found and how they are stored."""
