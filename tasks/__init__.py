"""Stages of the pipeline and what they need."""
