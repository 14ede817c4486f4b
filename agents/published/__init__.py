"""The published program, from scratch: torch and the world only."""
