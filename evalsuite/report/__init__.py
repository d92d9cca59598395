"""The promotion report and its other forms, from one set of data."""
