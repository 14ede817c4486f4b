"""The benchmark: learners on tasks, with exact anchors, many seeds, and privileges as columns."""
