"""Runs packed for somebody who checks them: files, their digests, the machine's description, an archive."""
