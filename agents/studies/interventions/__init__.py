"""What a trained agent goes by."""
