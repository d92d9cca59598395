"""Rows that say nearly the same."""
