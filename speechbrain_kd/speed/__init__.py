"""What makes a training step faster and changes no result."""
