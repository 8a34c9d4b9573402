"""Floor 2, mind: one searcher, one file, one public class.

Pure: no clock, no files, no framework, no sibling.
"""
