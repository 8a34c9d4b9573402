"""Falsifications of a submission, by what they change. A module registers its kinds when it is imported."""
