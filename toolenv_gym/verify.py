"""Verify results: replay the tokens that an agent played, and print the exact scores.

``python -m toolenv_gym.verify PATH``, of a file (:mod:`toolenv_gym.results`) or the folder of an
entry (:mod:`toolenv_gym.entries`); of an entry it also says which tasks are not in it. What is
damaged, incomplete or not as it says is refused with a reason, and an exit status of 1.
"""

import argparse
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from toolenv_gym.entries import Verified, left_out, verify_entry
from toolenv_gym.results import Scores, read_result, replay


def main() -> None:
    parser = argparse.ArgumentParser(prog="toolenv_gym.verify", description=__doc__)
    parser.add_argument("path", type=Path, help="a file of tokens, .npz, or the folder of an entry")
    path = parser.parse_args().path
    try:
        if path.is_dir():
            _print_entry(verify_entry(path))
        else:
            result = read_result(path)
            scores = replay(result)
            _print_scores(result.settings, scores)
            _print_verdict([scores])
    except (OSError, ValueError) as error:
        sys.exit(f"{path} is refused: {error}")


def _print_entry(verified: Verified) -> None:
    entry = verified.entry
    print(f"{entry.learner}, seed {entry.seed}, {entry.timesteps:,} steps")
    print(f"privileges     {_told(vars(entry.privileges))}")
    print(f"command        {entry.command}")
    print(f"commit         {entry.commit}")
    for name, scores in entry.scores.items():
        print(f"\n{name}")
        _print_scores(verified.settings[name], scores)
    print()
    for task in left_out(verified.settings.values()):
        print(f"not in it: {_told(task)}")
    _print_verdict(entry.scores.values())


def _print_scores(settings: dict[str, Any], scores: Scores) -> None:
    print(_told(settings))
    print(f"problems       {scores.problems}")
    print(f"mean return    {scores.mean_return:.9f}")
    share = scores.mean_return / scores.optimum if scores.optimum else 1.0
    print(f"of optimum     {share:.7%} of {scores.optimum:.9f}")
    print(f"success        {scores.success_rate:.5%}")
    print(f"reached target {scores.reached_target_rate:.5%}")


def _print_verdict(scores: Collection[Scores]) -> None:
    results = "1 result" if len(scores) == 1 else f"{len(scores)} results"
    print(f"verified: {results} of {sum(each.problems for each in scores):,} problems")


def _told(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


if __name__ == "__main__":
    main()
