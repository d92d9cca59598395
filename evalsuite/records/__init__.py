"""Item scores in files of other tools."""
