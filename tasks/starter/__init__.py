"""A new project outside this repository, for `ratchet init`."""
