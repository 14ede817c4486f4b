"""What an agent in ToolArithExpression-v0 goes by: its plans, its register, its own memory."""
