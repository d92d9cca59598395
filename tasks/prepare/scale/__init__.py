"""Rows on disk, and work on them in several processes or on several machines."""
