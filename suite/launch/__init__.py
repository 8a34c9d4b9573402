"""Floor 6: from a configuration to a finished run; the only folder that knows Hydra."""
