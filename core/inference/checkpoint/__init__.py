"""The files of a model, read in whichever format they have."""
