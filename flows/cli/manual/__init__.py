"""Pages of the documentation that messages name: links to docs/ here, files in the wheel."""
