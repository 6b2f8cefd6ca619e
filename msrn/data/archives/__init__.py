"""What the readers of published archives share."""
