"""What people said of a model's answers in production, on its way to training rows and golden items."""
