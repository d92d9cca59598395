"""DVC and its stages: what runs, what would, one run at a time."""
