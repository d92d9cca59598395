"""Answers kept, so that nothing is asked twice."""
