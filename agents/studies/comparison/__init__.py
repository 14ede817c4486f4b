"""Learners compared on ``ToolArithMemory-v0``, guided and not."""
