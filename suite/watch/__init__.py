"""Floor 5: runs on a terminal while they go on. Reads journals, and nothing else."""
