"""A recurrent learner of which every number can be worked out by hand, in NumPy and float64.

Its state is a trace of the tokens seen, ``state / 2 + one-hot(previous token)``, and that of each
further layer a trace of the layer below: ``state / 2 + state below``. The logits are the top state
times a fixed table, plus biases, which alone are learnt. An episode begins as if ``[EOS]`` had been
seen in the step before, so that a state of zeros is a wrong one.

Whatever can go wrong is a short method of its own: see ``mutants``.
"""

from types import SimpleNamespace

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from toolenv_gym.observation import PREVIOUS
from toolenv_gym.testing import Learner, Replay, Rollout, Step
from toolenv_gym.tokens import EOS, N_TOKENS

CLIP = 0.2
MOMENTUM = 0.9
ONE_HOT = np.eye(N_TOKENS)
TABLE = np.random.default_rng(0).integers(-4, 5, size=(N_TOKENS, N_TOKENS)) / 4  # known weights
VALUES = np.arange(N_TOKENS) / 16


class NumpyLearner(Learner):
    autoreset_modes = (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)

    def __init__(self, setup):
        self.setup = setup
        self.table = TABLE * setup.logit_scale
        self.parameters = {"actor": np.zeros(N_TOKENS), "critic": np.zeros(1)}
        self.momenta = {name: np.zeros_like(each) for name, each in self.parameters.items()}
        self.seed(setup.seed)
        self.envs = SyncVectorEnv(setup.env_makers, autoreset_mode=setup.autoreset_mode)
        self.observations, _ = self.envs.reset(seed=setup.seed)
        self.states = self.initial_states(len(self.observations))
        self.starts = np.ones(len(self.observations), dtype=np.bool_)
        self.resetting = ~self.starts  # the rows that the next step only resets
        self.sums = np.zeros((len(self.observations), 2))  # return and length so far

    # The network

    def initial_states(self, n):
        return np.tile(ONE_HOT[EOS], (self.setup.n_layers, n, 1))

    def advance(self, observations, states):
        """Return the states after observations, shape (layers, n, units)."""
        below, after = ONE_HOT[observations[:, PREVIOUS]], []
        for state in states:
            below = state / 2 + below
            after.append(below)
        return np.array(after)

    def logits(self, observations, states):
        return states[-1] @ self.table + self.parameters["actor"]

    def log_probs(self, observations, states, masks):
        logits = self.masked(self.logits(observations, states), masks)
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    def masked(self, logits, masks):
        return logits if masks is None else np.where(masks, logits, -np.inf)

    def values(self, observations, states):
        if self.setup.critic is not None:
            return self.setup.critic(observations)
        return states[-1] @ VALUES + self.parameters["critic"]

    def draw(self, log_probs):
        sums = np.exp(log_probs).cumsum(axis=1)
        return (sums > self.random.random((len(sums), 1)) * sums[:, -1:]).argmax(axis=1)

    # Playing

    def rollout(self):
        self.episodes = []
        self.begin_rollout()
        steps = [self.play_step() for _ in range(self.setup.n_steps)]
        self.buffer = SimpleNamespace(
            **{name: np.array([step[name] for step in steps]) for name in steps[0]}
        )
        buffer = self.buffer
        buffer.advantages = self.advantages()
        buffer.returns = buffer.advantages + buffer.values
        return Rollout(
            observations=buffer.observations,
            actions=buffer.actions,
            starts=buffer.starts,
            log_probs=buffer.log_probs,
            values=buffer.values,
            advantages=buffer.advantages,
            returns=buffer.returns,
            masks=buffer.masks if self.setup.masks else None,
            valid=buffer.valid,
            episodes=self.episodes,
        )

    def begin_rollout(self):
        """The states go on."""

    def play_step(self):
        """Play one step in each environment and return what is kept of it."""
        observations, starts, resetting = self.observations, self.starts, self.resetting
        states = self.reset_states(self.states, starts)
        masks = self.masks()
        self.states = self.advance(observations, states)
        log_probs = self.log_probs(observations, self.states, masks)
        actions = self.draw(log_probs)
        self.observations, rewards, terminated, truncated, infos = self.envs.step(actions)
        over = terminated | truncated
        last = self.last_observations(over, infos)
        if self.setup.autoreset_mode is AutoresetMode.DISABLED and over.any():
            self.observations, _ = self.envs.reset(options={"reset_mask": over})
        next_step = self.setup.autoreset_mode is AutoresetMode.NEXT_STEP
        self.starts = resetting if next_step else over
        self.resetting = over & next_step
        self.count_episodes(rewards, over, ~resetting)
        return {
            "observations": observations,
            "actions": actions,
            "starts": starts,
            "states": np.moveaxis(states, 1, 0),
            "masks": np.ones_like(log_probs, dtype=np.bool_) if masks is None else masks,
            "log_probs": log_probs[np.arange(len(actions)), actions],
            "values": self.values(observations, self.states),
            "next_values": self.values(last, self.advance(last, self.states)),
            "rewards": rewards,
            "terminated": terminated,
            "truncated": truncated,
            "over": over,
            "valid": self.valid(resetting),
        }

    def masks(self):
        return np.array(self.envs.call("action_masks")) if self.setup.masks else None

    def reset_states(self, states, starts):
        """Return the states with those of a policy that has seen nothing where episodes start."""
        return np.where(starts[:, np.newaxis], self.initial_states(len(starts)), states)

    def last_observations(self, over, infos):
        """Return the observations that a step led to, the last of an episode where it ended."""
        last = self.observations.copy()
        if self.setup.autoreset_mode is AutoresetMode.SAME_STEP and over.any():
            last[over] = np.stack(infos["final_obs"][over])
        return last

    def valid(self, resetting):
        return ~resetting

    def count_episodes(self, rewards, over, valid):
        self.sums[valid] += np.stack([rewards, np.ones_like(rewards)], axis=1)[valid]
        self.episodes += [tuple(sums) for sums in self.sums[over].tolist()]
        self.sums[over] = 0.0

    def advantages(self):
        """Return generalized advantage estimates: Schulman et al. 2016, equation 16."""
        buffer, setup = self.buffer, self.setup
        errors = buffer.rewards + setup.gamma * self.bootstrapped() - buffer.values
        advantages, following = np.zeros_like(errors), 0.0
        for step in reversed(range(len(errors))):
            going_on = self.going_on(step)
            following = errors[step] + setup.gamma * setup.gae_lambda * going_on * following
            advantages[step] = following
        return advantages

    def bootstrapped(self):
        """Return the values of what comes after each step: those played, where it was played."""
        buffer, after = self.buffer, self.buffer.next_values.copy()
        after[:-1] = np.where(buffer.over[:-1], after[:-1], buffer.values[1:])
        return np.where(buffer.terminated, 0.0, after)

    def going_on(self, step):
        return ~self.buffer.over[step]

    # Learning

    def update(self):
        for batch in self.minibatches():
            for name, gradient in self.gradients(self.evaluate_batch(batch)).items():
                self.momenta[name] = MOMENTUM * self.momenta[name] + gradient
                self.parameters[name] = (
                    self.parameters[name] - self.setup.learning_rate * self.momenta[name]
                )

    def gradients(self, evaluated):
        """Return the gradients of PPO's loss with respect to the biases."""
        advantages, ratios = evaluated.advantages, np.exp(evaluated.new - evaluated.old)
        clipped = np.where(advantages > 0, ratios > 1 + CLIP, ratios < 1 - CLIP)
        weights = np.where(clipped, 0.0, ratios * advantages)
        scores = ONE_HOT[evaluated.actions] - np.exp(evaluated.log_probs)
        return {"actor": -(weights @ scores) / len(weights), "critic": evaluated.errors.mean()}

    def replay(self):
        batches = [self.evaluate_batch(batch) for batch in self.minibatches()]
        sizes = [len(batch.new) for batch in batches]
        return Replay(
            old_log_probs=np.concatenate([batch.old for batch in batches]),
            log_probs=np.concatenate([batch.new for batch in batches]),
            advantages=np.concatenate([batch.advantages for batch in batches]),
            entropy=np.average([batch.entropy for batch in batches], weights=sizes),
            value_loss=np.average([batch.value_loss for batch in batches], weights=sizes),
        )

    def sequences(self):
        """Return pieces of episodes, each the numbers of its steps and its environment."""
        pieces = []
        for env in range(len(self.starts)):
            for step in np.flatnonzero(self.buffer.valid[:, env]):
                full = pieces and len(pieces[-1][0]) == self.setup.chunk_length
                if step == 0 or self.buffer.starts[step, env] or full:
                    pieces.append(([], env))
                pieces[-1][0].append(step)
        return pieces

    def minibatches(self):
        batch, size = [], 0
        for piece in self.sequences():
            if batch and size + len(piece[0]) > self.setup.batch_size:
                yield batch
                batch, size = [], 0
            batch.append(piece)
            size += len(piece[0])
        yield batch

    def evaluate_batch(self, batch):
        """Run the network over padded sequences; return what the loss takes, without padding."""
        columns = ("observations", "actions", "log_probs", "advantages", "returns")
        padded = {name: pad(getattr(self.buffer, name), batch) for name in columns}
        there = pad(np.ones_like(self.buffer.valid), batch)
        masks = self.replayed_masks(batch)
        states, log_probs, values = self.stored_states(batch), [], []
        for observations, admitted in zip(padded["observations"], masks, strict=True):
            states = self.advance(observations, states)
            log_probs.append(self.log_probs(observations, states, admitted))
            values.append(self.values(observations, states))
        log_probs = np.array(log_probs)
        new = np.take_along_axis(log_probs, padded["actions"][..., np.newaxis], axis=2)[..., 0]
        probs = np.exp(log_probs)
        entropies = -(probs * np.where(probs > 0, log_probs, 0.0)).sum(axis=2)
        errors = np.array(values) - padded["returns"]
        return SimpleNamespace(
            old=self.old_log_probs(padded["log_probs"], new)[there],
            new=new[there],
            advantages=self.normalized(padded["advantages"], there),
            entropy=self.mean_entropy(entropies, there),
            value_loss=self.mean_error(errors**2, there),
            errors=errors[there],
            actions=padded["actions"][there],
            log_probs=log_probs[there],
        )

    def replayed_masks(self, batch):
        return pad(self.buffer.masks, batch, padding=True)

    def stored_states(self, batch):
        """Return the states that sequences began with, shape (layers, sequences, units)."""
        states = [self.buffer.states[steps[0], env] for steps, env in batch]
        return np.moveaxis(np.array(states), 0, 1)

    def old_log_probs(self, old, new):
        return old

    def normalized(self, advantages, there):
        advantages = advantages[there]
        if not self.setup.normalize_advantages:
            return advantages
        return (advantages - advantages.mean()) / (advantages.std() + 1e-8)

    def mean_entropy(self, entropies, there):
        return entropies[there].mean()

    def mean_error(self, squares, there):
        return squares[there].mean()

    # In the hands of users

    def step(self, observations, states, masks):
        if states is None:
            states = self.initial_states(len(observations))
        states = self.advance(observations, states)
        log_probs = self.log_probs(observations, states, masks)
        return Step(log_probs, self.values(observations, states), states)

    def predict(self, observations, states, masks, deterministic):
        log_probs, _, states = self.step(observations, states, masks)
        return log_probs.argmax(axis=1) if deterministic else self.draw(log_probs), states

    def evaluate(self, env, n_episodes):
        total = 0.0
        for episode in range(n_episodes):
            observation, _ = env.reset(seed=episode)
            states, over = None, False
            while not over:
                mask = env.action_masks() if self.setup.masks else None
                action, states = self.greedy(observation, states, mask)
                observation, reward, terminated, truncated, _ = env.step(action)
                total, over = total + reward, terminated or truncated
        return total / n_episodes

    def greedy(self, observation, states, mask):
        masks = None if mask is None else mask[np.newaxis]
        actions, states = self.predict(observation[np.newaxis], states, masks, True)
        return actions[0], states

    def seed(self, seed):
        self.random = np.random.default_rng(seed)

    def save(self, folder):
        np.savez(folder / "parameters.npz", **self.parameters)
        np.savez(folder / "momenta.npz", **self.momenta)

    def load(self, folder):
        self.parameters = dict(np.load(folder / "parameters.npz"))
        self.momenta = dict(np.load(folder / "momenta.npz"))

    def close(self):
        self.envs.close()


def pad(column, batch, padding=0):
    """Return a column's sequences side by side, shape (longest, sequences, ...)."""
    longest = max(len(steps) for steps, _ in batch)
    padded = np.full((longest, len(batch), *column.shape[2:]), padding, dtype=column.dtype)
    for place, (steps, env) in enumerate(batch):
        padded[: len(steps), place] = column[steps, env]
    return padded
