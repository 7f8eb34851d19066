"""The elevation of the input image's camera: predicted, or from matches between neighboring views."""
