"""The general policy's defaults, compared on three memory tasks."""
