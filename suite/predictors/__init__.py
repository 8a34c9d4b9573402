"""Floor 2, mind: predictors with scikit-learn's contract; the heavy libraries are imported when fit
is called.
"""
