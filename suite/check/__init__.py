"""A submission re-adjudicated: every rule of docs/rules.md that a journal can show, each with its verdict."""
