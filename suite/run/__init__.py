"""Floor 3, memory: the fold from events to commands, and the journal.

The only floor that writes run state.
"""
