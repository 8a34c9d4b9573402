"""Floor 4: from the journal to a run as read, its record and its schema."""
