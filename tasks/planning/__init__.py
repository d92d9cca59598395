"""What a training needs and costs, from a model's config alone: no weight is read and nothing is spent."""
