"""From a checkpoint to the packed weights that the kernels read."""
