"""What the chapters share: the command line, the training loop's wiring, and the files that a run leaves behind."""
