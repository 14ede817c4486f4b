"""Recurrent PPO with an LSTM and action masks in plain torch: one file, to be read and copied.

It plays Gymnasium's vector environments in any autoreset mode. What such learners easily get wrong:

- The network itself resets the state where an episode starts: the same line does it in play, in the
  update and in prediction.
- The update cuts the rollout into chunks; each begins with the state that play had there.
- Rows that are no steps, where an environment was reset (autoreset mode NEXT_STEP) or the last
  chunks are filled up, are dropped before any mean is taken.
- A truncated episode is worth what its own last observation is, looked at with its own state.

In a copy, your own arguments take the place of ``Setup``. Only the checks of
:mod:`toolenv_gym.testing` need ``replay()``, the scale of the logits and the critic of a setup.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor, nn

from toolenv_gym.testing import Learner, Replay, Rollout, Setup, Step

UNITS = 64  # of the encoder and of each layer of the LSTM
EPOCHS = 2
CLIP_RANGE = 0.2  # of the ratio of probabilities
ENTROPY_COEFFICIENT = 0.01
VALUE_COEFFICIENT = 0.5
MAX_GRAD_NORM = 0.5

States = tuple[Tensor, Tensor]  # hidden and cell states, each of shape (layers, n, units)


class Network(nn.Module):
    """An LSTM over integers, with an actor and a critic on top.

    :param sizes: how many values each integer of an observation can have
    :param n_actions: how many actions there are
    :param n_layers: layers of the LSTM
    """

    def __init__(self, sizes: Sequence[int], n_actions: int, n_layers: int) -> None:
        super().__init__()
        self.n_inputs = sum(sizes)
        self.first_inputs = torch.tensor([sum(sizes[:place]) for place in range(len(sizes))])
        self.encoder = nn.Sequential(nn.Linear(self.n_inputs, UNITS), nn.Tanh())
        self.lstm = nn.LSTM(UNITS, UNITS, n_layers)
        self.actor = nn.Linear(UNITS, n_actions)
        self.critic = nn.Linear(UNITS, 1)
        nn.init.orthogonal_(self.actor.weight, gain=0.01)
        nn.init.zeros_(self.actor.bias)

    def initial_states(self, n: int) -> States:
        zeros = torch.zeros(self.lstm.num_layers, n, UNITS)
        return zeros, zeros

    def forward(
        self, observations: Tensor, starts: Tensor, states: States, masks: Tensor | None
    ) -> tuple[Tensor, Tensor, States]:
        """Run over n sequences side by side.

        :param observations: integers, shape (steps, n, integers of an observation)
        :param starts: whether an episode starts with the observation, shape (steps, n)
        :param states: after the step before the first
        :param masks: admitted actions, shape (steps, n, actions); None for all
        :return: log-probabilities of all actions, shape (steps, n, actions); values, shape
            (steps, n); and the states after the last step
        """
        one_hot = torch.zeros(*starts.shape, self.n_inputs)
        one_hot.scatter_(-1, observations + self.first_inputs, 1.0)
        outputs = []
        for inputs, start in zip(self.encoder(one_hot), starts, strict=True):
            hidden, cell = (state.masked_fill(start[:, None], 0.0) for state in states)
            output, states = self.lstm(inputs[None], (hidden, cell))
            outputs.append(output)
        features = torch.cat(outputs)
        logits = self.actor(features)
        if masks is not None:
            # The lowest finite number: minus infinity would make the entropy NaN.
            logits = logits.masked_fill(~masks, torch.finfo(logits.dtype).min)
        return logits.log_softmax(-1), self.critic(features).squeeze(-1), states


class Terms(NamedTuple):
    """What the loss is made of: tensors of one entry a step, shape (n,)."""

    old_log_probs: Tensor
    log_probs: Tensor
    advantages: Tensor
    entropies: Tensor
    value_errors: Tensor


class PlainTorchPPO(Learner):
    """The learner, in an environment of ``MultiDiscrete`` observations and ``Discrete`` actions."""

    autoreset_modes = tuple(AutoresetMode)

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.envs = SyncVectorEnv(setup.env_makers, autoreset_mode=setup.autoreset_mode)
        torch.manual_seed(setup.seed)
        space, actions = self.envs.single_observation_space, self.envs.single_action_space
        assert isinstance(space, gym.spaces.MultiDiscrete)
        assert isinstance(actions, gym.spaces.Discrete)
        self.network = Network(space.nvec.tolist(), int(actions.n), setup.n_layers)
        for parameter in self.network.actor.parameters():
            parameter.data.mul_(setup.logit_scale)
        self.optimizer = torch.optim.Adam(self.network.parameters(), setup.learning_rate, eps=1e-5)
        self.generator = torch.Generator().manual_seed(setup.seed)

        n_envs = self.envs.num_envs
        self.observations, _ = self.envs.reset(seed=setup.seed)
        self.states = self.network.initial_states(n_envs)
        self.starts = np.ones(n_envs, dtype=np.bool_)
        self.resetting = np.zeros(n_envs, dtype=np.bool_)  # whose next step is none
        self.episode_returns, self.episode_lengths = np.zeros(n_envs), np.zeros(n_envs, np.int64)

    # ------------------------------------------------------------------------------------- play

    def rollout(self) -> Rollout:
        self.chunk_length = min(self.setup.chunk_length, self.setup.n_steps)
        self.chunk_states: list[States] = []
        self.episodes: list[tuple[float, int]] = []
        steps = []
        for step in range(self.setup.n_steps):
            if step % self.chunk_length == 0:
                self.chunk_states.append(self.states)
            steps.append(self._play())
        self.played = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
        self._add_targets()
        return Rollout(
            **{name: self.played[name].numpy() for name in Rollout._fields[:7]},
            masks=self.played["masks"].numpy() if self.setup.masks else None,
            valid=self.played["valid"].numpy(),
            episodes=self.episodes,
        )

    def _play(self) -> dict[str, Tensor]:
        """Take one step in each environment, and return what is to be known of it."""
        observations, masks = torch.as_tensor(self.observations), torch.as_tensor(self._masks())
        starts, resetting = torch.as_tensor(self.starts), torch.as_tensor(self.resetting)
        log_probs, values, self.states = self._look(observations, starts, self.states, masks)
        actions = self._draw(log_probs)
        rewards, terminated, truncated, after = self._step_envs(actions.numpy())
        final_values = torch.zeros_like(values)
        if truncated.any():
            final_values = self._value_now(after) * torch.as_tensor(truncated & ~terminated)
        return {
            "observations": observations,
            "actions": actions,
            "starts": starts,
            "masks": masks,
            "valid": ~resetting,
            "log_probs": log_probs.gather(-1, actions[:, None]).squeeze(-1),
            "values": values,
            "rewards": torch.as_tensor(rewards, dtype=torch.float32),
            "ended": torch.as_tensor(terminated | truncated),
            "final_values": final_values,
        }

    def _masks(self) -> Any:
        if self.setup.masks:
            return np.stack(self.envs.call("action_masks"))
        return np.ones((self.envs.num_envs, self.network.actor.out_features), dtype=np.bool_)

    def _step_envs(self, actions: Any) -> tuple[Any, Any, Any, Any]:
        """Step, and reset where episodes end; return rewards, both flags and what came after.

        What came after an episode's last step is its last observation, not the next one's first.
        """
        observations, rewards, terminated, truncated, infos = self.envs.step(actions)
        ended, mode = terminated | truncated, self.setup.autoreset_mode
        self._count_episodes(rewards, ended)
        after = observations
        if mode is AutoresetMode.SAME_STEP and ended.any():
            after = observations.copy()
            after[ended] = np.stack(infos["final_obs"][ended])
        if mode is AutoresetMode.DISABLED and ended.any():
            observations, _ = self.envs.reset(options={"reset_mask": ended})
        if mode is AutoresetMode.NEXT_STEP:
            self.starts, self.resetting = self.resetting, ended
        else:
            self.starts = ended
        self.observations = observations
        return rewards, terminated, truncated, after

    def _count_episodes(self, rewards: Any, ended: Any) -> None:
        self.episode_returns += rewards
        self.episode_lengths += ~self.resetting
        totals = zip(self.episode_returns[ended], self.episode_lengths[ended], strict=True)
        self.episodes += [(float(total), int(length)) for total, length in totals]
        self.episode_returns[ended], self.episode_lengths[ended] = 0.0, 0

    def _look(
        self, observations: Tensor, starts: Tensor, states: States, masks: Tensor | None
    ) -> tuple[Tensor, Tensor, States]:
        """Run the network for one step, without gradients: see :meth:`Network.forward`."""
        masks = None if masks is None else masks[None]
        with torch.no_grad():
            log_probs, values, states = self.network(
                observations[None], starts[None], states, masks
            )
        return log_probs[0], self._criticized(observations, values[0]), states

    def _value_now(self, observations: Any) -> Tensor:
        """Return the values of observations that go on with the present states."""
        no_starts = torch.zeros(len(observations), dtype=torch.bool)
        return self._look(torch.as_tensor(observations), no_starts, self.states, None)[1]

    def _criticized(self, observations: Tensor, values: Tensor) -> Tensor:
        """Return the values, or what the critic of the setup says in their place."""
        if self.setup.critic is None:
            return values
        rows = observations.reshape(-1, observations.shape[-1]).numpy()
        return torch.as_tensor(self.setup.critic(rows), dtype=torch.float32).view_as(values)

    def _draw(self, log_probs: Tensor) -> Tensor:
        return torch.multinomial(log_probs.exp(), 1, generator=self.generator).squeeze(-1)

    def _add_targets(self) -> None:
        """Add advantages and returns by generalized advantage estimation."""
        played, gamma = self.played, self.setup.gamma
        last_values = self._value_now(self.observations)
        following = torch.cat([played["values"][1:], last_values[None]])
        following = torch.where(played["ended"], played["final_values"], following)
        errors = played["rewards"] + gamma * following - played["values"]
        decay = gamma * self.setup.gae_lambda * ~played["ended"]
        advantages, advantage = torch.zeros_like(errors), torch.zeros_like(last_values)
        for step in reversed(range(len(errors))):
            advantage = errors[step] + decay[step] * advantage
            advantages[step] = advantage
        played |= {"advantages": advantages, "returns": advantages + played["values"]}

    # ----------------------------------------------------------------------------------- update

    def update(self) -> None:
        for _ in range(EPOCHS):
            for chunks in self._minibatches(shuffled=True):
                terms = self._terms(chunks)
                ratios = (terms.log_probs - terms.old_log_probs).exp()
                clipped = ratios.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE)
                gains = torch.minimum(ratios * terms.advantages, clipped * terms.advantages)
                loss = (
                    VALUE_COEFFICIENT * terms.value_errors.mean()
                    - gains.mean()
                    - ENTROPY_COEFFICIENT * terms.entropies.mean()
                )
                self.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRAD_NORM)
                self.optimizer.step()

    def replay(self) -> Replay:
        with torch.no_grad():
            parts = [self._terms(chunks) for chunks in self._minibatches(shuffled=False)]
        terms = Terms(*map(torch.cat, zip(*parts, strict=True)))
        return Replay(
            terms.old_log_probs.numpy(),
            terms.log_probs.numpy(),
            terms.advantages.numpy(),
            float(terms.entropies.mean()),
            float(terms.value_errors.mean()),
        )

    def _minibatches(self, shuffled: bool) -> Sequence[Tensor]:
        """Return the numbers of the chunks in each minibatch."""
        n_chunks = len(self.chunk_states) * self.envs.num_envs
        order = torch.arange(n_chunks)
        if shuffled:
            order = torch.randperm(n_chunks, generator=self.generator)
        return torch.split(order, max(1, self.setup.batch_size // self.chunk_length))

    def _terms(self, chunks: Tensor) -> Terms:
        """Run the network over some chunks anew; return the terms of their steps."""
        batch = {name: self._in_chunks(column)[:, chunks] for name, column in self.played.items()}
        hidden, cell = (torch.cat(states, dim=1) for states in zip(*self.chunk_states, strict=True))
        states = hidden[:, chunks], cell[:, chunks]
        all_log_probs, values, _ = self.network(
            batch["observations"], batch["starts"], states, batch["masks"]
        )
        values = self._criticized(batch["observations"], values)
        log_probs = all_log_probs.gather(-1, batch["actions"][..., None]).squeeze(-1)
        entropies = -(all_log_probs.exp() * all_log_probs).sum(-1)
        valid = batch["valid"]
        advantages = batch["advantages"][valid]
        if self.setup.normalize_advantages:
            deviation = advantages.std(correction=0)
            advantages = (advantages - advantages.mean()) / (deviation + 1e-8)
        return Terms(
            batch["log_probs"][valid],
            log_probs[valid],
            advantages,
            entropies[valid],
            (values - batch["returns"])[valid] ** 2,
        )

    def _in_chunks(self, column: Tensor) -> Tensor:
        """Cut (n_steps, n_envs, ...) into (chunk_length, chunks, ...), the last filled with zeros.

        What fills them up is not valid. Chunks are in the order of ``chunk_states``, and for each
        of these of the environments.
        """
        missing = -len(column) % self.chunk_length
        filled = torch.cat([column, column.new_zeros(missing, *column.shape[1:])])
        cut = filled.reshape(-1, self.chunk_length, *column.shape[1:])
        return cut.transpose(0, 1).flatten(1, 2)

    # ---------------------------------------------------------------------------------- trained

    def step(self, observations: Any, states: Any, masks: Any) -> Step:
        starts = torch.full((len(observations),), states is None)
        states = self.network.initial_states(len(observations)) if states is None else states
        masks = None if masks is None else torch.as_tensor(masks)
        log_probs, values, states = self._look(torch.as_tensor(observations), starts, states, masks)
        return Step(log_probs.numpy(), values.numpy(), states)

    def predict(
        self, observations: Any, states: Any, masks: Any, deterministic: bool
    ) -> tuple[Any, Any]:
        step = self.step(observations, states, masks)
        log_probs = torch.as_tensor(step.log_probs)
        actions = log_probs.argmax(-1) if deterministic else self._draw(log_probs)
        return actions.numpy(), step.states

    def evaluate(self, env: gym.Env[Any, Any], n_episodes: int) -> float:
        total = 0.0
        for _ in range(n_episodes):
            observation, _ = env.reset()
            states, ended = None, False
            while not ended:
                masks = None
                if self.setup.masks:
                    masks = env.get_wrapper_attr("action_masks")()[None]
                actions, states = self.predict(observation[None], states, masks, True)
                observation, reward, terminated, truncated, _ = env.step(actions[0])
                total += float(reward)
                ended = terminated or truncated
        return total / n_episodes

    def seed(self, seed: int) -> None:
        self.generator.manual_seed(seed)

    def save(self, folder: Path) -> None:
        parts = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }
        torch.save(parts, folder / "learner.partial.pt")
        os.replace(folder / "learner.partial.pt", folder / "learner.pt")

    def load(self, folder: Path) -> None:
        parts = torch.load(folder / "learner.pt", weights_only=True)
        self.network.load_state_dict(parts["network"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.generator.set_state(parts["generator"])

    def close(self) -> None:
        self.envs.close()
