"""Estimators on paired scores."""
