"""Recurrent policies as ONNX files, which play without torch and Stable-Baselines3."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy
from torch import nn

from agents.common.files import write_atomically
from agents.recurrent.masking import masking

Array = npt.NDArray[Any]


class GreedyStep(nn.Module):
    """One greedy step of a recurrent policy, as a function of tensors: what is traced.

    It takes, batch first but for the states, the tensors named in ``inputs``:

    - ``observation``, as the policy's observation space has it (images channels first); of a Dict
      space ``observation_KEY`` for each key
    - ``hidden``, float32, shape (n_layers, batch, hidden_size), and for LSTMs ``cell``, alike
    - ``episode_start``, bool, shape (batch,): where it is true, the states given do not matter
    - ``action_mask``, bool, shape (batch, actions): the actions that are admitted, if masked

    and returns those named in ``outputs``: ``action``, as the environment takes it, then
    ``next_hidden`` and for LSTMs ``next_cell``.

    :param policy: of GRUs or LSTMs
    :param masked: whether there is an input for action masks, for Discrete and MultiDiscrete
        actions of models that know masks
    :raises ValueError: the policy is not recurrent, or, when called, cannot be masked
    """

    def __init__(self, policy: BasePolicy, masked: bool = False) -> None:
        super().__init__()
        if not isinstance(policy, RecurrentActorCriticPolicy):
            raise ValueError(f"only recurrent policies are exported, got {type(policy).__name__}")
        self.policy = policy
        space = policy.observation_space
        keys = list(space) if isinstance(space, spaces.Dict) else []
        self.observations = [f"observation_{key}" for key in keys] or ["observation"]
        self.states = ["hidden", "cell"] if isinstance(policy.lstm_actor, nn.LSTM) else ["hidden"]
        self.inputs = [*self.observations, *self.states, "episode_start"]
        if masked:
            self.inputs.append("action_mask")
        self.outputs = ["action", *(f"next_{name}" for name in self.states)]

    def forward(self, *inputs: th.Tensor) -> tuple[th.Tensor, ...]:
        """Return the actions and the next states."""
        given = dict(zip(self.inputs, inputs, strict=True))
        obs: Any = {name.removeprefix("observation_"): given[name] for name in self.observations}
        if not isinstance(self.policy.observation_space, spaces.Dict):
            obs = given["observation"]
        # A GRU's state stands in both places of the pair.
        states: Any = (given["hidden"], given[self.states[-1]])
        with masking(self.policy, given.get("action_mask")):
            distribution, states = self.policy.get_distribution(
                obs, states, given["episode_start"].float()
            )
            action = distribution.get_actions(deterministic=True)
        return self._as_played(action), *states[: len(self.states)]

    def _as_played(self, action: th.Tensor) -> th.Tensor:
        """Return actions as the environment takes them, as the policy's ``predict`` does."""
        space = self.policy.action_space
        action = action.reshape(-1, *space.shape)  # type: ignore[misc]
        if not isinstance(space, spaces.Box):
            return action
        low, high = (th.as_tensor(bound, device=action.device) for bound in (space.low, space.high))
        if self.policy.squash_output:
            return low + 0.5 * (action + 1) * (high - low)
        return action.clamp(low, high)

    def example(self, batch: int = 2) -> tuple[th.Tensor, ...]:
        """Return inputs of the right shapes and dtypes: episodes that start."""
        space = self.policy.observation_space
        parts = space.values() if isinstance(space, spaces.Dict) else [space]
        layers, _, size = self.policy.lstm_hidden_state_shape
        n_actions: Any = self.policy.action_net.out_features
        examples = [
            *(th.as_tensor(np.zeros((batch, *part.shape), part.dtype)) for part in parts),  # type: ignore[misc]
            *(th.zeros(layers, batch, size) for _ in self.states),
            th.ones(batch, dtype=th.bool),
            th.ones(batch, n_actions, dtype=th.bool),
        ]
        return tuple(tensor.to(self.policy.device) for tensor in examples[: len(self.inputs)])


def export_onnx(policy: BasePolicy, path: Path, masked: bool = False) -> None:
    """Write one greedy step of a policy as an ONNX file, for batches of any size.

    :param policy: see :class:`GreedyStep`, whose inputs and outputs the file has
    :param path: of the file, which is moved into place when it is whole
    :param masked: whether action masks are an input
    """
    step = GreedyStep(policy, masked)
    axes = {name: {0: "batch"} for name in (*step.inputs, *step.outputs)}
    axes |= {name: {1: "batch"} for name in step.states}
    axes |= {f"next_{name}": {1: "batch"} for name in step.states}

    def write(temporary: Path) -> None:
        with warnings.catch_warnings():
            # They warn of branches on lengths and starts, which are as in every step here, and of
            # batch sizes that are fixed unless the states are inputs, as they are here.
            warnings.simplefilter("ignore")
            th.onnx.export(
                step,
                step.example(),
                temporary,
                input_names=step.inputs,
                output_names=step.outputs,
                dynamic_axes=axes,
                dynamo=False,
            )

    write_atomically(path, write)


class OnnxPolicy:
    """An exported policy in onnxruntime, with the ``predict`` of the model it was made of.

    :param path: a file of :func:`export_onnx`
    :param observation_space: that of the model
    """

    def __init__(self, path: Path, observation_space: spaces.Space[Any]) -> None:
        self.observation_space = observation_space
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # networks this small gain nothing by more
        self._session = onnxruntime.InferenceSession(path, options)
        shapes = {node.name: node.shape for node in self._session.get_inputs()}
        self._states = {name: shapes[name] for name in ("hidden", "cell") if name in shapes}

    def predict(
        self,
        observation: Array | dict[str, Array],
        state: tuple[Array, ...] | None = None,
        episode_start: Array | None = None,
        deterministic: bool = True,
        action_masks: Array | None = None,
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return greedy actions and the next state, for a batch of observations.

        :param state: without it, episodes start here
        :param deterministic: only True
        :param action_masks: nonzero where an action is admitted, shape (batch, actions); needed
            if the policy was exported with masks
        """
        if not deterministic:
            raise ValueError("an exported policy plays greedily: pass deterministic=True")
        feed = self._observation_inputs(observation)
        n = len(next(iter(feed.values())))
        if state is None:
            shapes = [(layers, n, size) for layers, _, size in self._states.values()]
            state = tuple(np.zeros(shape, dtype=np.float32) for shape in shapes)
            episode_start = np.ones(n)
        feed |= dict(zip(self._states, state, strict=True))
        starts = np.zeros(n) if episode_start is None else episode_start
        feed["episode_start"] = np.asarray(starts, dtype=np.bool_)
        if action_masks is not None:
            feed["action_mask"] = np.asarray(action_masks, dtype=np.bool_)
        action, *states = self._session.run(None, feed)
        return action, tuple(states)

    def _observation_inputs(self, observation: Array | dict[str, Array]) -> dict[str, Array]:
        if isinstance(observation, dict):
            assert isinstance(self.observation_space, spaces.Dict)
            return {
                f"observation_{key}": np.asarray(value, self.observation_space[key].dtype)
                for key, value in observation.items()
            }
        return {"observation": np.asarray(observation, self.observation_space.dtype)}
