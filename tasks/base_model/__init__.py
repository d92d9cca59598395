"""What the model to fine-tune is: template, context, licence."""
