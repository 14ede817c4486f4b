"""The environments: one class, which plays any world of :mod:`toolenv_gym.worlds`, and a subclass a world."""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import error, spaces

from toolenv_gym import arguments, observation, render, starts
from toolenv_gym.guidance import UNGUIDED, guided_token, plan_length
from toolenv_gym.rules import START, Machine, Rules, World, holds, play
from toolenv_gym.tokens import ANS, CTX, N_TOKENS, TOOL_TOKENS
from toolenv_gym.worlds import expression, memory, published

Observation = npt.NDArray[np.int64]

_TOKENS = np.arange(N_TOKENS)


class ToolArithEnv(gym.Env[Observation, int | np.integer]):
    """
    ## Description

    An agent computes `(a·b + c) − (d·e)` with tools: it does no arithmetic itself but emits one
    token a step, such as `[MUL]` or `[ADD]`, and a small machine executes it on the digits of the
    problem. `[ANS]` submits the machine's accumulator. The agent sees the problem and its own last
    token, but neither the accumulator nor the clock: it has to plan the whole computation and to
    remember where it stands in it.

    `ToolArith-v0` is the world of a published tutorial **as its program really runs it**, to the
    last bit of every return. It keeps on purpose:

    - the graded target is one milestone short of the target described: `a·b` at stage 0,
      `a·b + c` at stage 1, `(a·b + c) − d` at stage 2;
    - `[STO]` sets a flag and stores nothing; with the flag set, `[RCL]` computes `d·e` at stage 2,
      and `[SUB]` subtracts `e` there instead of `d`;
    - one fixed sequence a stage is therefore optimal on every problem (`MUL ANS`, `MUL ADD ANS`,
      `MUL ADD SUB ANS`), and neither register nor memory is ever rewarded.

    `ToolArithMemory-v0` is the world that the tutorial describes, and `ToolArithExpression-v0` one
    in which the plan depends on the problem.

    ## Action Space

    `Discrete(18)`, the token to emit:

    | Num | Token | Effect |
    |-----|-------|--------|
    | 0-9 | a digit | none, but costs a step |
    | 10  | `[CTX]` | none, but costs a step |
    | 11  | `[MUL]` | accumulator empty: becomes a·b. Otherwise times d at stages 1 and 2 |
    | 12  | `[ADD]` | accumulator plus c, unless empty |
    | 13  | `[SUB]` | at stages 1 and 2 accumulator minus d (at stage 2 minus e if the flag is set), unless empty |
    | 14  | `[ANS]` | ends the episode and scores the accumulator |
    | 15  | `[STO]` | sets the flag |
    | 16  | `[RCL]` | if the flag is set: at stage 2 the accumulator becomes d·e, at stages 0 and 1 an empty one becomes 0 |
    | 17  | `[EOS]` | none, but costs a step |

    `info["action_mask"]` and `env.unwrapped.action_masks()` mark the tokens to which the rules give
    an effect in the present state, and always `[ANS]`. The mask does not depend on the digits.

    ## Observation Space

    `MultiDiscrete([18, 18, 18, 18, 18, 18, 18, 3])`, int64:

    | Num | Observation | Values |
    |-----|-------------|--------|
    | 0-5 | the context: the digits shown, then `[CTX]`, padded with `[EOS]` | 0-17 |
    | 6   | the previous token, `[CTX]` after a reset | 0-17 |
    | 7   | the stage | 0-2 |

    ## Starting State

    Five digits a, b, c, d, e, independent and uniform on 0 to 9, and one of the `stage`s,
    uniformly. Stages 0, 1 and 2 show the first three, four and five digits. The machine is empty.

    ## Rewards

    0 on every step but `[ANS]`, which earns `correct + shaping * shaped`:

    - `correct` is 1 if the accumulator holds the graded target, else 0;
    - `shaped` is the sum of the weights of the milestones that the accumulator equals.
      Stage 0: 0.25 a·b, 0.5 a·b+c. Stage 1: also 0.75 (a·b+c)−d.
      Stage 2: 0.2 a·b, 0.4 a·b+c, 0.6 (a·b+c)−(d·e), 0.6 d·e.

    An empty accumulator earns 0. What random and optimal agents earn, exactly, is printed by
    `python -m toolenv_gym.oracle`.

    ## Episode End

    Terminated by `[ANS]`, or after `max_steps` tokens (the last is still executed): running out of
    the budget is a failure to answer, part of the task. The environment never truncates.

    ## Information

    Every `reset` and every `step` returns the same keys, with values of the same type and shape:

    | Key | Type | Value |
    |-----|------|-------|
    | `stage` | int | 0, 1 or 2 |
    | `template` | int | the number of the problem's template in its stage, here always 0 |
    | `target` | int | the target that the problem describes |
    | `graded_target` | int | the target that is rewarded |
    | `plan_length` | int | the number of tokens of the problem's plan, its `[ANS]` included |
    | `guidance` | int | how many tokens at the end of the plan are left free, -1 for no guidance: see `set_guidance` |
    | `accumulator` | int | its number, 0 when empty |
    | `accumulator_full` | bool | whether it holds a number |
    | `memory` | int | here 1 if the flag is set, else 0 |
    | `memory_full` | bool | whether the flag is set |
    | `steps` | int | the number of tokens emitted |
    | `tokens` | int64, shape (`max_steps`,) | the tokens emitted, then -1 |
    | `action_mask` | int8, shape (18,) | 1 for the tokens that `action_masks()` marks |
    | `is_success` | bool | whether `[ANS]` submitted the graded target |
    | `reached_target` | bool | whether `[ANS]` submitted the described target |

    ## Arguments

    | Parameter | Type | Default | Description |
    |-----------|------|---------|-------------|
    | `stage` | int or sequence of ints | `0` | 0, 1, 2, or several: each reset draws one |
    | `max_steps` | int | `7` | budget of tokens, 1 to 16 |
    | `shaping` | float | `0.2` | weight of the milestones in the reward; 0.0 gives the sparse task |
    | `render_mode` | str | `None` | `"ansi"`, `"rgb_array"`; through `gym.make` also `"human"` |
    | `reveal` | str | `"always"` | `"always"`: the context in every observation; `"once"`: in the first only, after that `[EOS]` in its place |

    `reset(options={"digits": (a, b, c, d, e), "stage": s})` fixes the problem; either key may be
    left out, and `"problem": n`, a number, may stand for the digits: all problems of a stage are
    numbered from 0, in counting order of the digits shown. `env.unwrapped.set_stage(stage)` changes the stages from the next reset on,
    `env.unwrapped.set_guidance(free_tokens)` has the mask lead along a plan that solves the task, up
    to its last so many tokens: wrappers, and `gym.make` adds some, do not pass on these methods.
    `env.unwrapped.problem_text` is the present problem as people read it. The attributes
    `max_steps` and `shaping` may be set at any time and hold at once; an episode that has already
    used up a lowered budget ends with the next token, and `info["tokens"]` shows its first
    `max_steps`.

    ```python
    >>> import gymnasium as gym
    >>> import toolenv_gym
    >>> env = gym.make("ToolArith-v0", stage=2)
    >>> observation, info = env.reset(options={"digits": (7, 5, 8, 4, 6)})
    >>> observation
    array([ 7,  5,  8,  4,  6, 10, 10,  2])
    >>> info["target"], info["graded_target"]
    (19, 39)

    ```

    ## Version History

    * v0: Initial version, the published rules
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 2}
    _rules: ClassVar[Rules] = published
    _split = "all"

    def __init_subclass__(cls, rules: Rules | None = None, **kwargs: Any) -> None:
        """Make the environment of a world.

        :param rules: the world's module, see :mod:`toolenv_gym.worlds`; else that of the base class
        """
        super().__init_subclass__(**kwargs)
        if rules is not None:
            cls._rules = rules

    def __init__(
        self,
        stage: arguments.Stage = 0,
        max_steps: int | None = None,
        shaping: float | None = None,
        render_mode: str | None = None,
        reveal: str = "always",
    ) -> None:
        rules = self._rules
        self._reveal = arguments.check_reveal(rules, reveal)
        self._templates = starts.template_table(rules, self._split)
        self._guidances: tuple[int, ...] = (UNGUIDED,)
        self._world = World(rules, rules.SHAPING, rules.MAX_STEPS)
        self.stages = stage
        self.max_steps = rules.MAX_STEPS if max_steps is None else max_steps
        self.shaping = rules.SHAPING if shaping is None else shaping
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise error.UnsupportedMode(
                f"render_mode must be None or one of {self.metadata['render_modes']}, got "
                f'{render_mode!r} ("human" works through gymnasium.make)'
            )
        self.render_mode = render_mode
        self.observation_space = observation.observation_space(rules)
        self.action_space = spaces.Discrete(N_TOKENS)
        self._started = False
        self._over = True

    def set_stage(self, stage: arguments.Stage) -> None:
        """Change the stage or stages that resets draw from; the present episode goes on."""
        self.stages = stage

    def set_guidance(self, free_tokens: int | Sequence[int] | None) -> None:
        """Have masks guide: admit only the plan's token first; see :mod:`toolenv_gym.guidance`.

        It takes effect with the next reset. After the guided steps every token is admitted.

        :param free_tokens: how many tokens at the end of the problem's plan are left to the agent,
            0 to the default ``max_steps``, or several of these: each reset draws one; None for the
            masks of the rules
        """
        self.guidances = free_tokens

    @property
    def world(self) -> World:
        """The rules and the settings that they are played with."""
        return self._world

    @property
    def stages(self) -> tuple[int, ...]:
        """The stages that resets draw from; set as with :meth:`set_stage`."""
        return self._stages

    @stages.setter
    def stages(self, stages: arguments.Stage) -> None:
        self._stages = arguments.check_stages(self._rules, stages, self._split)

    @property
    def reveal(self) -> str:
        """How much of the context is shown; it is chosen when the environment is made."""
        return observation.REVEALS[self._reveal]

    @property
    def split(self) -> str:
        """The set of templates that resets draw from, likewise."""
        return self._split

    @property
    def problem_text(self) -> str:
        """The present problem as people read it."""
        self._check_started()
        return self._rules.problem_text(self._problem)

    @property
    def guidances(self) -> tuple[int, ...]:
        """The numbers of guided steps that resets draw from; set as with :meth:`set_guidance`."""
        return self._guidances

    @guidances.setter
    def guidances(self, guidances: int | Sequence[int] | None) -> None:
        self._guidances = arguments.check_guidances(self._rules, guidances)

    @property
    def max_steps(self) -> int:
        """The budget of tokens, 1 to 16; a change holds at once, in the present episode too."""
        return self._world.max_steps

    @max_steps.setter
    def max_steps(self, max_steps: int) -> None:
        max_steps = arguments.check_max_steps(self._rules, max_steps)
        self._world = self._world._replace(max_steps=max_steps)

    @property
    def shaping(self) -> float:
        """The weight of the milestones in the reward; a change holds at once."""
        return self._world.shaping

    @shaping.setter
    def shaping(self, shaping: float) -> None:
        self._world = self._world._replace(shaping=arguments.check_shaping(self._rules, shaping))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; see the class for ``options``."""
        rules = self._rules
        options = starts.check_options(rules, options)
        possible = self.stages
        if "stage" in options:
            possible = (arguments.check_stage(rules, options["stage"], self._split),)
        for stage in possible:
            starts.fixed_number(rules, options, stage, 0)  # raises if it cannot be
        super().reset(seed=seed)
        # One draw, whatever is fixed: the following episodes stay the same.
        n_choices = len(self.guidances) * len(self.stages)
        drawn = int(self.np_random.integers(n_choices * starts.draw_range(rules)))
        choice, drawn = divmod(drawn, starts.draw_range(rules))
        guidance, place = divmod(choice, len(self.stages))
        self._guidance = self.guidances[guidance]
        stage = possible[0] if "stage" in options else self.stages[place]
        split = rules.SPLITS.index(self._split)
        draws_per = starts.draws_per_problem(rules)
        number = starts.drawn_number(rules, draws_per, split, self._templates, stage, drawn)
        self._problem = rules.problem_at(stage, starts.fixed_number(rules, options, stage, number))
        self._problem_info = {
            "stage": stage,
            "template": rules.template_of(self._problem),
            "target": rules.described_target(self._problem),
            "graded_target": rules.graded_target(self._problem),
            "plan_length": plan_length(rules, self._problem),
            "guidance": self._guidance,
        }
        self._machine = START
        self._tokens = np.full(rules.MAX_BUDGET, -1)
        self._steps = 0
        self._reward = 0.0
        self._started = True
        self._over = False
        self._first_shown = 0
        self._observation = observation.observe(rules, self._problem, 0, CTX)
        return self._observation.copy(), self._info(answered=False)

    def step(
        self, action: int | np.integer
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one token."""
        if self._over:
            state = "over" if self._started else "not started"
            raise error.ResetNeeded(f"The episode is {state}: call reset() before step().")
        # The space's own check takes longer than all else; it is left to what is no plain int.
        is_token = type(action) is int and 0 <= action < N_TOKENS
        if not (is_token or self.action_space.contains(action)):
            raise error.InvalidAction(
                f"The action must be a token, an integer 0 to {N_TOKENS - 1}, got {action!r}"
            )
        token = int(action)
        self._machine, self._reward, self._over = play(
            self._world, self._problem, self._machine, self._steps, token
        )
        self._tokens[self._steps] = token
        self._steps += 1
        info = self._info(answered=token == ANS)
        return self._observe(token), self._reward, self._over, False, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which tokens have an effect now, shape (18,), as sb3-contrib asks for it.

        In a guided episode, return which tokens the guidance admits.
        """
        self._check_started()
        return self._mask().copy()

    def render(self) -> str | npt.NDArray[np.uint8] | None:
        """Return the state as a line of text (``ansi``) or as a picture (``rgb_array``)."""
        self._check_started()
        if self.render_mode is None:
            gym.logger.warn(
                f"render() does nothing without a render_mode: pass render_mode= to gym.make, one "
                f"of {self.metadata['render_modes']}."
            )
            return None
        view = render.View(
            rules=self._rules,
            problem=self._problem,
            tokens=tuple(self._tokens[: self._steps].tolist()),
            machine=self._machine,
            max_steps=max(self.max_steps, self._steps),  # it may have been lowered
            reward=self._reward,
            over=self._over,
        )
        return render.to_text(view) if self.render_mode == "ansi" else render.to_picture(view)

    def _observe(self, previous: int) -> Observation:
        if self._reveal != observation.ALWAYS:
            first = observation.first_shown(
                self._rules, self._reveal, self._problem.stage, self._machine, self._steps
            )
            if first != self._first_shown:
                self._observation = observation.observe(self._rules, self._problem, first, previous)
                self._first_shown = first
        self._observation[observation.PREVIOUS] = previous
        return self._observation.copy()

    def _check_started(self) -> None:
        if not self._started:
            raise error.ResetNeeded("The episode is not started: call reset() first.")

    def _mask(self) -> npt.NDArray[np.bool_]:
        """Return the action mask, which is not to be changed."""
        if self._guidance != UNGUIDED:
            token = guided_token(self._rules, self._problem, self._guidance, self._steps)
            mask: npt.NDArray[np.bool_] = np.equal(_TOKENS, token) | (token < 0)
            return mask
        machine = self._machine
        return _action_mask(
            self._rules, self._problem.stage, machine.acc_full, machine.memory_full, machine.head
        )

    def _info(self, answered: bool) -> dict[str, Any]:
        machine = self._machine
        info = self._problem_info
        return {
            **info,
            "accumulator": machine.acc,
            "accumulator_full": bool(machine.acc_full),
            "memory": machine.memory,
            "memory_full": bool(machine.memory_full),
            "steps": self._steps,
            "tokens": self._tokens[: self._world.max_steps].copy(),
            "action_mask": self._mask().astype(np.int8),
            "is_success": answered and holds(machine, info["graded_target"]),
            "reached_target": answered and holds(machine, info["target"]),
        }


class ToolArithMemoryEnv(ToolArithEnv, rules=memory):
    """
    ## Description

    `ToolArithMemory-v0` is the world of [`ToolArith-v0`](ToolArithEnv) **as its publication
    describes it**: the target shown is the target graded, and there is a real memory register,
    without which stage 2 cannot be solved in general. The publication does not fix such a machine;
    this one is ours. It has an accumulator, one memory register and a read head, which takes the
    digits shown from the left, each once.

    What differs from `ToolArith-v0`:

    - the graded target is the described one: `a·b + c`, `(a·b + c) − d`, `(a·b + c) − (d·e)`;
    - the tools work on the machine as below;
    - `info["memory"]` is the memory register's number, 0 when empty, and `info["memory_full"]`
      tells whether it holds one;
    - `reveal` may also be `"ahead"`: the digits from the head on, moved to the front, and `[CTX]`.

    Plans that solve every problem: `MUL ADD ANS` at stage 0, `MUL ADD SUB ANS` at stage 1,
    `MUL ADD STO MUL RCL SUB ANS` at stage 2, which takes the whole default budget. Without the register
    no agent answers more than 50.251 % of the problems of stage 2; without a memory of its own, and
    without masks, which show the register, no more than 33.400 %.

    ## Action Space

    `Discrete(18)`, the token to emit:

    | Num | Token | Effect |
    |-----|-------|--------|
    | 11  | `[MUL]` | accumulator empty: takes two digits and becomes their product (nothing if fewer than two are left); full: times the operand |
    | 12  | `[ADD]` | accumulator plus the operand, unless empty |
    | 13  | `[SUB]` | accumulator minus the operand, unless empty |
    | 14  | `[ANS]` | ends the episode and scores the accumulator |
    | 15  | `[STO]` | moves the accumulator into the memory and leaves it empty, unless empty |
    | 16  | `[RCL]` | exchanges accumulator and memory, unless the memory is empty |
    | other | | none, but costs a step |

    The operand is the memory if it is full, which empties it, or else the next digit; with neither
    the token has no effect.

    ## Observation Space, Starting State, Rewards, Episode End, Information, Arguments

    As in `ToolArith-v0`.

    ## Version History

    * v0: Initial version
    """


class ToolArithExpressionEnv(ToolArithEnv, rules=expression):
    """
    ## Description

    In `ToolArithExpression-v0` the plan follows from what is read. Every problem is an expression
    of digits and operators, such as `7 - 3*4 + 2`, and each *template* of operators has a shortest
    plan of its own: no fixed sequence of tokens gets far. The agent reads the operators; the
    machine, an accumulator, a memory register and a read head, takes the digits from the left, each
    once. The register is needed just where precedence asks for it.

    Without memory of its own a greedy agent that is always shown the problem, without masks, solves
    at most 73.333, 62.856, 48.201 and 30.489 % of stages 0 to 3; shown it once, 70.333, 32.111,
    13.327 and 7.731 %; shown what lies ahead, all. Without `[STO]` and `[RCL]` no agent solves more
    than 100, 90.033, 82.065 and 79.966 %.

    The publication's own `a·b + c − d·e` is one of the 81 templates of stage 3; its plan,
    `MUL ADD STO SUB MUL RCL ANS`, has the published length of seven tokens.

    ## Action Space

    `Discrete(18)`, the token to emit:

    | Num | Token | Effect |
    |-----|-------|--------|
    | 11  | `[MUL]` | accumulator full: times the next digit; empty: takes two digits and becomes their product |
    | 12  | `[ADD]` | accumulator plus the next digit, an empty one counting as 0 |
    | 13  | `[SUB]` | accumulator minus the next digit, an empty one counting as 0 |
    | 14  | `[ANS]` | ends the episode and scores the accumulator |
    | 15  | `[STO]` | adds the accumulator to the memory and leaves it empty; nothing if it is empty |
    | 16  | `[RCL]` | adds the memory to the accumulator, an empty one counting as 0, and leaves the memory empty; nothing if that is empty |
    | other | | none, but costs a step |

    A token for which too few digits are left has no effect. `info["action_mask"]` and
    `env.unwrapped.action_masks()` mark the tokens that have an effect in the present state, and
    always `[ANS]`. The mask does not depend on the digits, but it shows how many are left and which
    register is full: with masks the task is another, and easier.

    ## Observation Space

    `MultiDiscrete([18] * 14 + [18] + [6])`, int64:

    | Num | Observation | Values |
    |-----|-------------|--------|
    | 0-13 | the context: digits and operators (`[MUL]`, `[ADD]`, `[SUB]`) in reading order, then `[CTX]`, padded with `[EOS]` | 0-17 |
    | 14  | the previous token, `[CTX]` after a reset | 0-17 |
    | 15  | the stage | 0-5 |

    Registers, head and clock are not shown. `reveal` tells how much of the context is:

    - `"always"`: the whole in every observation;
    - `"ahead"`: the context from the head on, moved to the front: the whole before the first digit
      is taken, after that beginning with the operator before the next digit, `[CTX]` alone when no
      digit is left;
    - `"once"`: the whole in the first observation, nothing but `[EOS]` after that.

    ## Starting State

    Stage s has s + 1 operators, `*`, `+` and `-` with the usual precedence, and a digit more. A
    reset draws one of the `stage`s, a template of those in the `split`, and each digit from 0 to 9,
    all uniformly. The machine is empty, its head at the first digit.

    Templates are numbered by their operators, read as digits to the base of three, `*` 0, `+` 1 and
    `-` 2. Of stages 2 and 3 those whose numbers leave 1 when divided by 4 are held out: 7 of 27 and
    20 of 81.

    | `split` | Stages | Templates |
    |---------|--------|-----------|
    | `"all"` | 0 to 5 | 3, 9, 27, 81, 243, 729 |
    | `"train"` | 0 to 3 | 3, 9, 20, 61 |
    | `"test"` | 2 to 5 | 7, 20 held out; all 243, 729, deeper than any in `"train"` |

    ## Rewards

    1 for `[ANS]` if the accumulator is full and equals the value of the expression, else 0; 0 on
    every other step. There are no milestones.

    ## Episode End, Information

    As in [`ToolArith-v0`](ToolArithEnv), with stages 0 to 5. `info["template"]` is the number of
    the template, and `env.unwrapped.problem_text` the expression as a text.

    ## Arguments

    | Parameter | Type | Default | Description |
    |-----------|------|---------|-------------|
    | `stage` | int or sequence of ints | `0` | 0 to 5, or several: each reset draws one |
    | `max_steps` | int | `12` | budget of tokens, 1 to 24; the longest plan of stage 5 has 12 |
    | `render_mode` | str | `None` | `"ansi"`, `"rgb_array"`; through `gym.make` also `"human"` |
    | `reveal` | str | `"always"` | `"always"`, `"ahead"` or `"once"`: see above |
    | `split` | str | `"all"` | `"all"`, `"train"` or `"test"`: see above |

    `reset(options={"digits": (7, 3, 4, 2), "operators": "-*+", "stage": 2})` fixes the problem,
    within the split or not. Each key may be left out: what is not given is drawn. Operators may be
    tokens too, and `"problem": n` may stand for both: problems are numbered template by template.

    ```python
    >>> import gymnasium as gym
    >>> import toolenv_gym
    >>> env = gym.make("ToolArithExpression-v0", stage=2)
    >>> observation, info = env.reset(options={"digits": (7, 3, 4, 2), "operators": "-*+"})
    >>> observation
    array([ 7, 13,  3, 11,  4, 12,  2, 10, 17, 17, 17, 17, 17, 17, 10,  2])
    >>> env.unwrapped.problem_text, info["target"], info["plan_length"]
    ('7 - 3*4 + 2', -3, 7)

    ```

    ## Version History

    * v0: Initial version
    """

    def __init__(
        self,
        stage: arguments.Stage = 0,
        max_steps: int | None = None,
        render_mode: str | None = None,
        reveal: str = "always",
        split: str = "all",
    ) -> None:
        self._split = arguments.check_split(self._rules, split)
        super().__init__(stage, max_steps, render_mode=render_mode, reveal=reveal)


@functools.cache
def _action_mask(
    rules: Rules, stage: int, acc_full: int, memory_full: int, head: int
) -> npt.NDArray[np.bool_]:
    """Return which tokens have an effect, whatever the values in the registers."""
    machine = Machine(acc_full, 0, memory_full, 0, head)
    mask = np.zeros(N_TOKENS, dtype=np.bool_)
    mask[ANS] = True
    for token in TOOL_TOKENS:
        mask[token] = rules.has_effect(stage, machine, token)
    return mask
