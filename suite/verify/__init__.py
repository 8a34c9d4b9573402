"""Is a run what its folder says: the journal replayed, the record made again."""
