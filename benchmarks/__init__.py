"""One script a claim; each prints a ratio that was measured in one run."""
