"""Training and judging agents in the tool-arithmetic worlds."""
