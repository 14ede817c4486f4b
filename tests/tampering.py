"""Model files for tests: hardly trained, rewritten, and with code planted in them."""

import os
import zipfile

from agents.toolarith.curriculum import CurriculumCallback, MixedCurriculum
from agents.toolarith.model_files import new_model


def hardly_trained(algo, history=0):
    """Return a model of a learner that has made a few updates."""
    model = new_model(algo, history=history)
    if "dqn" in algo:
        model.learning_starts, model.batch_size, model.gradient_steps = 56, 4, 1
    model.learn(64, callback=CurriculumCallback(MixedCurriculum((0,))))
    return model


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.makedirs, (str(self.folder), 0o777, True)


def rewritten(file, **entries):
    """Replace entries of a zip file, given as bytes."""
    with zipfile.ZipFile(file) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (old | entries).items():
            archive.writestr(name, content)
