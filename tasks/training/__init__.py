"""Planning and running the fine-tuning."""
