"""What the report says beyond the verdict, as plain values: page, Markdown and JSON show the same ones."""
