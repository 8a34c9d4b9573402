"""Data sets: where they are published, how they are staged, read and split, and their stand-ins.

Imports suite.core only. `swiftbench fetch NAME --to DIR` stages; jobs never download.
"""
