"""Floor 2, mind: one algorithm, one file, one public class.

Pure: no clock, no files, no framework, no sibling (but for a published variant, which is one: PASHA
of ASHA).
"""
