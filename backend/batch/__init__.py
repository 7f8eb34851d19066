"""Many pictures: a folder or a list becomes meshes, on this computer or a Ray cluster, and a manifest says of each."""
