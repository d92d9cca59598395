"""The promotion report, the model card and the short summary, from one set of data."""

from evalsuite.report.build import build_html
from evalsuite.report.data import ReportData, TrainingRun
from evalsuite.report.markdown import build_model_card, markdown_summary

__all__ = ["ReportData", "TrainingRun", "build_html", "build_model_card", "markdown_summary"]
