"""A practice cluster: a Slurm of this machine alone, to try job scripts on."""
