"""The published program taken apart, slip by slip."""
