"""Measurements that the documentation quotes; one script a claim."""
