"""A submission re-adjudicated: every rule of RULES.md that a journal can show, each with its verdict."""
