"""Files in and out: images, tensors, checkpoints, job folders, exports."""
