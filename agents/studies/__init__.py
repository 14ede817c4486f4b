"""The studies behind the figures in the docs, each a package of its own."""
