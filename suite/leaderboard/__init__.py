"""A static site of checked submissions: who is where, by which rules, on what."""
