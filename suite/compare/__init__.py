"""Two machines, two records, like with like."""
