"""Floor 3: restore, train, checkpoint; energy and facts of the place where that happens."""
