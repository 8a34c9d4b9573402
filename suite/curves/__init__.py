"""Curve tables recorded from real runs."""
