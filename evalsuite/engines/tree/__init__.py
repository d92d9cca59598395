"""Prompts as a tree of shared beginnings, computed once."""
