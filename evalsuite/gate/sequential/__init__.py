"""Evaluation that stops as soon as its rules are decided."""
