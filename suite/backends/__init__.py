"""Floor 4, hands: backends carry events up and commands down; they decide nothing."""
