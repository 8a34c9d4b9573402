"""Floor 2, mind, below its siblings: regressions that searchers and schedulers decide by.

A surrogate answers from what a run has seen (objectives, curves, encoded configurations), at once
and on rank 0; a predictor (suite.predictors) extends curves, beside the loop. Pure: no clock, no
files.
"""
