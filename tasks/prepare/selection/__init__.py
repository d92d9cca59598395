"""Of many rows those that teach the base model the most."""
