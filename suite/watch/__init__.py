"""Floor 5: runs on a terminal while they are trained. Reads journals, and nothing else."""
