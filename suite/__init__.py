"""An HPC benchmark suite for hyperparameter optimization: Hyperband against Swift-Hyperband over
MPI.
"""

__version__ = "0.1.0"
