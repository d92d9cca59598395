"""Suites, engines and one model."""
