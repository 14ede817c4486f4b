"""The checks by name, with what each asks, and where such slips usually live."""

import dataclasses
from collections.abc import Callable, Sequence

from toolenv_gym.testing.failures import FailureError
from toolenv_gym.testing.learners import evaluating, masking, playing, targets, updating
from toolenv_gym.testing.learners.adapter import Learner, NotOfferedError
from toolenv_gym.testing.learners.returned import FormError


@dataclasses.dataclass(frozen=True)
class LearnerCheck:
    """One check; calling it with an adapter runs it.

    :param asks: what must hold
    :param cause: where slips of this kind usually live
    :param reports: public reports that show one, on GitHub
    """

    function: Callable[[type[Learner]], None]
    asks: str
    cause: str
    reports: Sequence[str]

    @property
    def name(self) -> str:
        return self.function.__name__.removeprefix("check_")

    @property
    def addresses(self) -> list[str]:
        """Where the reports are."""
        return [f"https://github.com/{report}" for report in self.reports]

    def __call__(self, adapter: type[Learner]) -> None:
        """Run the check.

        :raises FailureError: the learner fails it; the message says what was seen, what is right,
            where to look and which public report shows the like
        :raises NotOfferedError: the learner has not what it is about
        :raises TypeError: it is no subclass of :class:`Learner`
        """
        if not (isinstance(adapter, type) and issubclass(adapter, Learner)):
            raise TypeError(
                f"an adapter is a subclass of toolenv_gym.testing.Learner, got {adapter!r}"
            )
        try:
            self.function(adapter)
        except FormError as failure:
            failure.args = (f"{self.name}: {failure}",)
            raise
        except FailureError as failure:
            advice = f"Such slips usually live in {self.cause}."
            shown = f"Compare {' and '.join(self.addresses)}"
            failure.args = (f"{self.name}: {failure}.\n{advice} {shown}",)
            raise


_CHECKS = (
    LearnerCheck(
        playing.check_rows,
        "observations, actions and starts are kept as they were played",
        "the order of writing to the buffer and of replacing the last observation",
        [
            "DLR-RM/stable-baselines3/issues/105",
            "RoboVerseOrg/RoboVerse/pull/814",
        ],
    ),
    LearnerCheck(
        playing.check_autoreset_modes,
        "no row is learnt from that an environment's reset filled, in any autoreset mode offered",
        "the step after an episode's end, which NEXT_STEP ignores, and in final_obs of SAME_STEP",
        [
            "Denys88/rl_games/pull/362",
            "automl/Mighty/issues/108",
        ],
    ),
    LearnerCheck(
        playing.check_episode_statistics,
        "returns and lengths reported are those of the episodes that ended",
        "sums that go on over an episode's end, or begin anew with each rollout",
        [
            "Farama-Foundation/Gymnasium/pull/1624",
            "hill-a/stable-baselines/issues/302",
        ],
    ),
    LearnerCheck(
        playing.check_state_matters,
        "the recurrent state has an effect, or no other check could see a wrong one",
        "a state that is computed and not used, or an adapter that does not scale the logits",
        [
            "pytorch/rl/issues/1406",
        ],
    ),
    LearnerCheck(
        playing.check_episode_starts,
        "the first step of an episode does not depend on the episode before",
        "the reset of states while playing: one step late, one early, or for all environments",
        [
            "thu-ml/tianshou/issues/486",
            "bold-lab-ai/JaxMARL/pull/127",
        ],
    ),
    LearnerCheck(
        playing.check_initial_states,
        "every episode begins from the policy's initial state, be it zeros or not",
        "resets that write zeros, or the state of the first observation ever seen",
        [
            "ray-project/ray/issues/15483",
        ],
    ),
    LearnerCheck(
        playing.check_neighbours,
        "a row of a batch does not depend on the others",
        "states reshaped instead of transposed, and layers that average over the batch",
        [
            "vwxyzjn/cleanrl/pull/83",
        ],
    ),
    LearnerCheck(
        playing.check_played_log_probs,
        "log-probabilities and values are those of the network stepped alone, and actions drawn "
        "from it",
        "states handed on while playing: of another environment, of the step before, or detached; "
        "and in actions that are the most probable ones",
        [
            "pytorch/rl/issues/1406",
        ],
    ),
    LearnerCheck(
        playing.check_carried_state,
        "an episode cut by the end of a rollout goes on with its state",
        "states reset when a rollout begins",
        [
            "facebookresearch/salina/issues/35",
            "ray-project/ray/pull/2898",
        ],
    ),
    LearnerCheck(
        updating.check_replayed_rows,
        "an epoch takes every step once, with the log-probability that was played",
        "samplers that drop the last sequences; and old log-probabilities that are computed anew, "
        "which hides every other slip",
        [
            "thu-ml/tianshou/issues/883",
            "CarperAI/trlx/issues/107",
        ],
    ),
    LearnerCheck(
        updating.check_replayed_log_probs,
        "the update computes the log-probabilities of the network stepped alone",
        "the reset of states where episodes start within a sequence, and the state that the "
        "rollout began with",
        [
            "thu-ml/tianshou/issues/793",
            "pytorch/rl/issues/3711",
        ],
    ),
    LearnerCheck(
        updating.check_replayed_in_chunks,
        "the same where episodes are cut into chunks or minibatches",
        "the state stored for a chunk: of the step after, or zeros",
        [
            "Lizhi-sjtu/DRL-code-pytorch/issues/14",
            "ray-project/ray/pull/2898",
        ],
    ),
    LearnerCheck(
        updating.check_replayed_layers,
        "the same with two layers, and several sequences in a minibatch",
        "states of shape (layers, sequences, units) reshaped as if they were (sequences, layers, "
        "units)",
        [
            "Stable-Baselines-Team/stable-baselines3-contrib/issues/111",
        ],
    ),
    LearnerCheck(
        updating.check_padding_in_entropy,
        "padding has no part in the mean entropy",
        "means over padded sequences",
        [
            "Stable-Baselines-Team/stable-baselines3-contrib/issues/75",
            "huggingface/trl/pull/6121",
        ],
    ),
    LearnerCheck(
        updating.check_padding_in_value_loss,
        "padding has no part in the value loss",
        "means over padded sequences",
        [
            "Stable-Baselines-Team/stable-baselines3-contrib/pull/78",
            "pytorch/rl/pull/4057",
        ],
    ),
    LearnerCheck(
        updating.check_normalized_advantages,
        "advantages are normalized over the steps, without padding",
        "mean and deviation taken of padded sequences",
        [
            "MarcoMeter/recurrent-ppo-truncated-bptt/issues/10",
            "NovaSky-AI/SkyRL/issues/1305",
        ],
    ),
    LearnerCheck(
        targets.check_returns,
        "without discount each target of an episode is its reward",
        "the recursion over an episode's end, which is to stop there",
        [
            "hill-a/stable-baselines/issues/385",
        ],
    ),
    LearnerCheck(
        targets.check_termination,
        "nothing is added where an episode terminates",
        "bootstrapping that does not look at the flag, or at that of the step before",
        [
            "RLinf/RLinf/pull/661",
            "anthonytorlucci/rlevo/issues/342",
        ],
    ),
    LearnerCheck(
        targets.check_truncation,
        "the value of what comes after is added where a time limit truncates",
        "done = terminated or truncated, used for both",
        [
            "Toni-SM/skrl/issues/449",
            "vwxyzjn/cleanrl/issues/198",
        ],
    ),
    LearnerCheck(
        targets.check_final_observation,
        "that is the value of the episode's last observation",
        "next observations of an environment that was reset already",
        [
            "pytorch/rl/pull/3771",
            "google-deepmind/mujoco_playground/issues/305",
        ],
    ),
    LearnerCheck(
        targets.check_rollout_end,
        "an episode cut by the end of a rollout is worth what the next observation is",
        "the last value, and the flag that goes with it",
        [
            "seungeunrho/minimalRL/issues/17",
        ],
    ),
    LearnerCheck(
        targets.check_advantages,
        "advantages are those of generalized advantage estimation",
        "flags and values that are off by one step",
        [
            "automl/Mighty/pull/126",
        ],
    ),
    LearnerCheck(
        masking.check_masks_in_play,
        "only admitted actions are played, and the masks are kept",
        "masks asked for after the step that they are for",
        [
            "ray-project/ray/issues/52290",
        ],
    ),
    LearnerCheck(
        masking.check_masks_in_update,
        "the update knows the masks",
        "a buffer without masks, or masks in another order than their steps",
        [
            "AgileRL/AgileRL/pull/487",
        ],
    ),
    LearnerCheck(
        masking.check_masks_in_draws,
        "in a million draws no excluded action, and the admitted ones equally often",
        "a finite logit for excluded actions that is not low enough, and masks added twice",
        [
            "ray-project/ray/issues/24055",
            "Unity-Technologies/ml-agents/issues/2769",
        ],
    ),
    LearnerCheck(
        masking.check_masks_repeated,
        "one distribution can be masked again and again",
        "masks applied to logits that were masked before, and validation of their sums",
        [
            "Stable-Baselines-Team/stable-baselines3-contrib/issues/322",
        ],
    ),
    LearnerCheck(
        evaluating.check_predict_without_state,
        "predict() without a state begins an episode",
        "defaults that take zeros for the state, whatever the policy begins with",
        [
            "Denys88/rl_games/pull/40",
        ],
    ),
    LearnerCheck(
        evaluating.check_predict_with_state,
        "predict() goes on with the state that it returned",
        "states returned from before the step",
        [
            "Denys88/rl_games/issues/316",
        ],
    ),
    LearnerCheck(
        evaluating.check_evaluation,
        "an evaluation plays what the policy prefers, given all that it has seen",
        "an evaluation that loses the state, or resets it for no reason",
        [
            "isaac-sim/IsaacLab/issues/3837",
        ],
    ),
    LearnerCheck(
        masking.check_masks_in_evaluation,
        "so it does with masks",
        "an evaluation that has either masks or states",
        [
            "Stable-Baselines-Team/stable-baselines3-contrib/issues/226",
        ],
    ),
    LearnerCheck(
        evaluating.check_saved,
        "a learner that was saved and loaded goes on to the last bit",
        "states of the optimiser that are not saved, and sizes that the constructor does not get",
        [
            "google/brax/issues/655",
        ],
    ),
    LearnerCheck(
        evaluating.check_seeds,
        "equal seeds give equal runs, others do not",
        "random numbers of NumPy, Python or the environments that nobody seeds",
        [
            "ikostrikov/jaxrl/pull/13",
        ],
    ),
)

LEARNER_CHECKS = {check.name: check for check in _CHECKS}


def check_recurrent_learner(
    adapter: type[Learner], checks: Sequence[str] = tuple(LEARNER_CHECKS)
) -> dict[str, str]:
    """Check a learner.

    :param adapter: a subclass of :class:`Learner`
    :param checks: names of those to run
    :return: of each check "passed", or why it is not applicable
    :raises AssertionError: some checks fail; the message has one paragraph for each
    :raises ValueError: a check of that name does not exist
    """
    if unknown := [name for name in checks if name not in LEARNER_CHECKS]:
        raise ValueError(f"checks are {list(LEARNER_CHECKS)}, got {unknown}")
    outcomes, failures = {}, []
    for name in checks:
        try:
            LEARNER_CHECKS[name](adapter)
            outcomes[name] = "passed"
        except NotOfferedError as reason:
            outcomes[name] = f"not applicable: {reason}"
        except FailureError as failure:
            failures.append(str(failure))
    if failures:
        raise AssertionError("\n\n".join(failures))
    return outcomes
