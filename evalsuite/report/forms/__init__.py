"""The report in other forms: Markdown for a pull request, a model card, JSON."""
