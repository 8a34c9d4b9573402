"""Valid runs in the words of other people's harnesses."""
