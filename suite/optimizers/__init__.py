"""Floor 2a, joint optimizers: other people's packages behind one contract (suite.core.JointOptimizer).

No package is imported before its optimizer is checked or opened. Nothing of a package is copied here.
"""
