"""The promotion report and its other forms, from one set of data."""

from evalsuite.report.build import build_html
from evalsuite.report.data import Command, ReportData, TrainingRun
from evalsuite.report.forms.card import build_model_card
from evalsuite.report.forms.document import ReportDocument, document_of
from evalsuite.report.forms.markdown import markdown_summary
from evalsuite.report.forms.pull_request import pull_request_markdown

__all__ = [
    "Command",
    "ReportData",
    "ReportDocument",
    "TrainingRun",
    "build_html",
    "build_model_card",
    "document_of",
    "markdown_summary",
    "pull_request_markdown",
]
