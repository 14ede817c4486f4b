"""What a person sees of an episode: a line of text, or a calculator drawn with Pillow."""

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.rules import Digits
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB, token_name

if TYPE_CHECKING:  # Pillow is imported where it is used
    from PIL import ImageDraw, ImageFont


class View(NamedTuple):
    """The state of an episode as it is shown.

    :param accumulator: ``None`` when empty
    :param memory: the register's value, ``None`` when empty; a bool where the memory is a flag
    :param reward: of the last step
    """

    digits: Digits
    stage: int
    tokens: tuple[int, ...]
    accumulator: int | None
    memory: bool | int | None
    max_steps: int
    reward: float
    over: bool


def problem_text(digits: Digits, stage: int) -> str:
    """Return the problem as it is described: ``(7*5 + 8) - (4*6)``."""
    a, b, c, d, e = digits
    return (f"{a}*{b} + {c}", f"({a}*{b} + {c}) - {d}", f"({a}*{b} + {c}) - ({d}*{e})")[stage]


def to_text(view: View) -> str:
    """Return the state as one line."""
    problem = problem_text(view.digits, view.stage)
    tokens = " ".join(token_name(token) for token in view.tokens)
    left = 0 if view.over else view.max_steps - len(view.tokens)
    return (
        f"{problem:<17} | {tokens:<27} | acc {_register(view.accumulator):>4} | "
        f"mem {_register(view.memory):>4} | {left:>2} left | reward {view.reward:.3f}"
    )


def _register(value: bool | int | None) -> str:
    """Return a register's content, ``-`` when empty."""
    if isinstance(value, bool):
        return "set" if value else "-"
    return "-" if value is None else str(value)


# ------------------------------------------------------------------------------- the calculator

WIDTH, HEIGHT = 640, 480
SCALE = 2  # drawn larger, then reduced: smooth edges
KEYS = (MUL, ADD, SUB, STO, RCL, ANS)

BACKGROUND = (236, 233, 226)
BODY = (45, 49, 58)
DISPLAY = (201, 216, 190)
DISPLAY_INK = (33, 44, 36)
DISPLAY_FAINT = (150, 167, 143)
KEY = (78, 84, 97)
KEY_PRESSED = (240, 178, 62)
KEY_INK = (240, 240, 236)
SLOT = (62, 67, 78)
GOOD, BAD = (112, 190, 120), (214, 106, 94)

Color = tuple[int, int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom


def to_picture(view: View) -> npt.NDArray[np.uint8]:
    """Return the state as a picture, uint8, shape (480, 640, 3)."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), BACKGROUND)
    panel = _Panel(ImageDraw.Draw(image))
    panel.rectangle((40, 20, 600, 460), BODY, radius=26)
    _draw_display(panel, view)
    _draw_tape(panel, view)
    _draw_keys(panel, view)
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


class _Panel:
    """Draws shapes and text in the picture's own pixels, whatever the scale."""

    def __init__(self, draw: "ImageDraw.ImageDraw") -> None:
        self._draw = draw

    def rectangle(self, box: Box, fill: Color, radius: int) -> None:
        scaled = tuple(SCALE * value for value in box)
        self._draw.rounded_rectangle(scaled, SCALE * radius, fill)

    def text(self, x: float, y: float, text: str, size: int, fill: Color, anchor: str) -> None:
        self._draw.text((SCALE * x, SCALE * y), text, fill, _font(SCALE * size), anchor)


@functools.cache
def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _draw_display(panel: _Panel, view: View) -> None:
    """Draw the problem, the accumulator, the memory and, at the end, what was earned."""
    panel.rectangle((64, 44, 576, 200), DISPLAY, radius=12)
    panel.text(84, 70, problem_text(view.digits, view.stage), 26, DISPLAY_INK, "lm")
    panel.text(556, 70, f"stage {view.stage}", 16, DISPLAY_FAINT, "rm")
    empty = view.accumulator is None
    accumulator = _register(view.accumulator)
    size = 64 if len(accumulator) < 9 else 32
    panel.text(556, 134, accumulator, size, DISPLAY_FAINT if empty else DISPLAY_INK, "rm")
    memory_ink = DISPLAY_INK if _register(view.memory) != "-" else DISPLAY_FAINT
    panel.text(84, 134, f"M {_register(view.memory)}", 24, memory_ink, "lm")
    if view.over:
        panel.text(556, 184, f"reward {view.reward:.3f}", 16, DISPLAY_INK, "rm")


def _draw_tape(panel: _Panel, view: View) -> None:
    """Draw the budget as a row of slots, those used filled with the tokens emitted."""
    gap = 6.0
    width = (512 + gap) / view.max_steps - gap
    for i in range(view.max_steps):
        left = 64 + i * (width + gap)
        used = i < len(view.tokens)
        ends = view.over and i == len(view.tokens) - 1
        fill = (GOOD if view.reward >= 1 else BAD) if ends else KEY if used else SLOT
        panel.rectangle((left, 220, left + width, 262), fill, radius=7)
        if used:
            size = 18 if width > 50 else 10
            name = token_name(view.tokens[i])
            panel.text(left + width / 2, 241, name, size, KEY_INK, "mm")


def _draw_keys(panel: _Panel, view: View) -> None:
    """Draw the six tools, the last one pressed lit up."""
    for i, token in enumerate(KEYS):
        left, top = 64 + i % 3 * 176, 284 + i // 3 * 82
        pressed = view.tokens[-1:] == (token,)
        panel.rectangle((left, top, left + 160, top + 66), KEY_PRESSED if pressed else KEY, 12)
        ink = BODY if pressed else KEY_INK
        panel.text(left + 80, top + 33, token_name(token), 26, ink, "mm")
