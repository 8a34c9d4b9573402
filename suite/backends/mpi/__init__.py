"""The MPI backend: rank 0's side, the workers' side, and what both say."""
