"""Judges: what says whether a completion is harmful, a refusal, or good by a rubric."""
