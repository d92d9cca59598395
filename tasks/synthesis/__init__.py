"""Rows that a served model writes from rows that people wrote, each with where it comes from."""
