"""The published program's curriculum, which other learners can follow too."""

STAGE_BLOCKS = (0, 0, 0, 1, 1, 2)  # the stages of six equal parts of a run
