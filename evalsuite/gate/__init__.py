"""The promotion gate, a pure function of evidence and policy."""
