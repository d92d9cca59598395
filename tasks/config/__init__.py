"""params.yaml: one module a section, typed, with defaults and units."""
