"""Runs in MLflow; the only folder that knows it."""
