"""How well predictors extend recorded curves."""
