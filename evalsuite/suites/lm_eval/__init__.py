"""Benchmarks by lm-eval's own task code."""
