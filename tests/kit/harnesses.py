"""What tests of other people's harnesses share."""

HOW = "benchmark/environment FOLDER makes it, then PATH=$PATH:FOLDER/bin"
"""How a harness that is absent is come by."""
