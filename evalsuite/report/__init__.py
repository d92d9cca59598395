"""The promotion report."""
