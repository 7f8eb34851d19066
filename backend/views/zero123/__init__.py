"""New views of one object: the Zero123 method (arXiv 2303.11328) on diffusers' own classes."""
