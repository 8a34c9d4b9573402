"""Targets: one file each.

Imports suite.core only; frameworks are imported when a worker stages the target.
"""
