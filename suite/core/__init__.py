"""Floor 1, words: the nouns every other floor speaks in.

Imports only the standard library and numpy.
"""
