"""What became of rows: looked up, compared between versions, and forgotten."""
