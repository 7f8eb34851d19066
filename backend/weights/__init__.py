"""Weights other than the starter weights: which there are, which are installed, and how they become installed.

This package stands above the networks: it imports their loaders, and none of them imports it.
"""
