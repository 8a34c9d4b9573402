"""Faults of clusters over test hosts, each a function of a Case; tests/cluster/faults.py runs them."""
