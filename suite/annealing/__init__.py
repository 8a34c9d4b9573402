"""Floor 1b: minimising an Ising problem: simulated annealers, a QPU, recordings of either."""
