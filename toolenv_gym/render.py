"""What a person sees of an episode: a line of text, or a calculator drawn with Pillow."""

import functools
import math
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from toolenv_gym.rules import Machine, Problem, Rules, holds
from toolenv_gym.tokens import ADD, ANS, CTX, MUL, RCL, STO, SUB, token_name

if TYPE_CHECKING:  # Pillow is imported where it is used
    from PIL import Image, ImageFont


class View(NamedTuple):
    """The state of an episode as it is shown.

    :param reward: of the last step
    """

    rules: Rules
    problem: Problem
    tokens: tuple[int, ...]
    machine: Machine
    max_steps: int
    reward: float
    over: bool

    @property
    def accumulator(self) -> str:
        """The accumulator's content, ``-`` when empty."""
        return str(self.machine.acc) if self.machine.acc_full else "-"

    @property
    def memory(self) -> str:
        """The memory's content, ``-`` when empty."""
        return self.rules.memory_text(self.machine) if self.machine.memory_full else "-"

    @property
    def head(self) -> int | None:
        """Where the read head stands in the problem's text; None if the machine has none.

        It stands at the next digit, or behind the text if no digit is left.
        """
        if "ahead" not in self.rules.REVEALS:
            return None
        text, context = self.rules.problem_text(self.problem), self.rules.context(self.problem)
        passed = context[: self.rules.n_passed(self.problem.stage, self.machine)]
        places = [place for place, symbol in enumerate(text) if symbol.isdigit()]
        return (*places, len(text))[sum(token < CTX for token in passed)]

    @property
    def answered(self) -> bool:
        """Whether the episode ended with an answer."""
        return self.over and self.tokens[-1] == ANS

    @property
    def correct(self) -> bool:
        """Whether it ended with the graded target, whatever was earned for it."""
        return self.answered and holds(self.machine, self.rules.graded_target(self.problem))

    @property
    def outcome(self) -> str:
        """What the episode came to, in a word or two; empty before its end."""
        if not self.over:
            return ""
        return "correct" if self.correct else "wrong" if self.answered else "no answer"


def to_text(view: View) -> str:
    """Return the state as one line, the next digit in brackets: ``3 + [4]*5 = 23``."""
    problem = _marked_equation(view)
    if graded := graded_equation(view):
        problem = f"{problem:<23} | graded {graded}"
    tokens = " ".join(token_name(token) for token in view.tokens)
    left = 0 if view.over else view.max_steps - len(view.tokens)
    line = (
        f"{problem} | {tokens:<{4 * view.max_steps - 1}} | acc {view.accumulator:>4} | "
        f"mem {view.memory:>4} | {left:>2} left | reward {view.reward:.3f}"
    )
    return f"{line} | {view.outcome}" if view.over else line


def _marked_equation(view: View) -> str:
    """Return the equation with its next digit in brackets, and as wide when none is left."""
    equation, head = described_equation(view), view.head
    if head is None:
        return equation
    if head == len(view.rules.problem_text(view.problem)):
        return f"{equation}  "
    return f"{equation[:head]}[{equation[head]}]{equation[head + 1 :]}"


def described_equation(view: View) -> str:
    """Return the problem as it is described, with its target."""
    target = view.rules.described_target(view.problem)
    return f"{view.rules.problem_text(view.problem)} = {target}"


def graded_equation(view: View) -> str:
    """Return what is graded instead of the problem described; empty if it is the same."""
    text = view.rules.graded_text(view.problem)
    return f"{text} = {view.rules.graded_target(view.problem)}" if text else ""


# ------------------------------------------------------------------------------- the calculator

WIDTH, HEIGHT = 640, 480
SCALE = 4  # shapes are drawn larger, then reduced: smooth edges
PRODUCT = re.compile(r"\d(\*\d)+")  # in the text of a problem
KEYS = (MUL, ADD, SUB, STO, RCL, ANS)

BACKGROUND = (236, 233, 226)
BODY = (45, 49, 58)
DISPLAY = (201, 216, 190)
DISPLAY_INK = (33, 44, 36)
PRODUCT_BOX = (183, 200, 171)
HEAD = (190, 110, 30)
DISPLAY_FAINT = (126, 143, 119)
KEY = (78, 84, 97)
KEY_PRESSED = (240, 178, 62)
KEY_INK = (240, 240, 236)
LABEL = (172, 177, 188)
SLOT = (62, 67, 78)
GOOD, BAD = (64, 145, 82), (196, 78, 66)

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom


def to_picture(view: View) -> npt.NDArray[np.uint8]:
    """Return the state as a picture, uint8, shape (480, 640, 3).

    What many pictures have in common is drawn once and kept: the calculator without a problem,
    every key, every slot of the tape with its token, and the glyphs of every text.
    """
    image = _calculator(view.rules.NAME, view.max_steps).copy()
    _draw_display(image, view)
    for place, token in enumerate(view.tokens):
        ends = view.over and place == len(view.tokens) - 1
        fill = (GOOD if view.correct else BAD) if ends else KEY
        box = _slot(place, view.max_steps)
        image.paste(_tile(_size(box), 7, fill, token_name(token), KEY_INK), box)
    if view.tokens and view.tokens[-1] in KEYS:
        box = _key(KEYS.index(view.tokens[-1]))
        image.paste(_tile(_size(box), 12, KEY_PRESSED, token_name(view.tokens[-1]), BODY), box)
    return np.array(image)


@functools.lru_cache(maxsize=64)
def _calculator(name: str, max_steps: int) -> "Image.Image":
    """Return the calculator of a world before a problem is shown."""
    from PIL import Image

    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    body, display = (40, 20, 600, 460), (64, 48, 576, 204)
    image.paste(_tile(_size(body), 26, BODY, paper=BACKGROUND), body)
    image.paste(_tile(_size(display), 12, DISPLAY), display)
    _write(image, 320, 34, name, 15, LABEL, "mm")
    for place in range(max_steps):
        box = _slot(place, max_steps)
        image.paste(_tile(_size(box), 7, SLOT), box)
    for place, token in enumerate(KEYS):
        box = _key(place)
        image.paste(_tile(_size(box), 12, KEY, token_name(token), KEY_INK), box)
    return image


def _draw_display(image: "Image.Image", view: View) -> None:
    """Write the problem, what is graded, both registers and, at the end, what was earned."""
    _draw_problem(image, view)
    _write(image, 556, 72, f"stage {view.problem.stage}", 16, DISPLAY_FAINT, "rm")
    if graded := graded_equation(view):
        _write(image, 84, 98, f"graded here: {graded}, one milestone short", 16, DISPLAY_INK, "lm")
    size = 60 if len(view.accumulator) < 9 else 32
    _write(image, 556, 142, view.accumulator, size, _ink(view.accumulator), "rm")
    _write(image, 84, 142, f"M {view.memory}", 24, _ink(view.memory), "lm")
    if view.over:
        _write(image, 84, 186, view.outcome, 18, GOOD if view.correct else BAD, "lm")
        _write(image, 556, 186, f"reward {view.reward:.3f}", 18, DISPLAY_INK, "rm")


def _draw_problem(image: "Image.Image", view: View) -> None:
    """Write the problem, and point at the next digit.

    Products are drawn in boxes where no parentheses tell what belongs together.
    """
    equation, head = described_equation(view), view.head
    products = () if "(" in equation else PRODUCT.finditer(equation)
    for product in products:
        left, right = (84 + _width(equation[:place]) for place in product.span())
        box = (left - 3, 58, right + 2, 87)
        image.paste(_tile(_size(box), 6, PRODUCT_BOX, paper=DISPLAY), box)
    passed, rest = equation[: head or 0], equation[head or 0 :]
    x = 84 + _width(passed)
    _write(image, 84, 72, passed, 26, DISPLAY_FAINT, "lm")
    _write(image, x, 72, rest, 26, DISPLAY_INK, "lm")
    if head is not None:
        image.paste(HEAD, (x + _width(rest[0]) // 2 - 7, 91), _pointer())


def _ink(register: str) -> Color:
    return DISPLAY_FAINT if register == "-" else DISPLAY_INK


def _slot(place: int, max_steps: int) -> Box:
    """Return where a token stands on the tape, the budget as a row of slots, or as two."""
    rows = 1 if max_steps <= 16 else 2
    columns = math.ceil(max_steps / rows)
    row, column = divmod(place, columns)
    left, right = (64 + round(i * 518 / columns) for i in (column, column + 1))
    top, bottom = (222 + round(i * 44 / rows) for i in (row, row + 1))
    return left, top, right - 6, bottom - 2


def _key(place: int) -> Box:
    left, top = 64 + place % 3 * 176, 284 + place // 3 * 82
    return left, top, left + 160, top + 66


def _size(box: Box) -> tuple[int, int]:
    left, top, right, bottom = box
    return right - left, bottom - top


@functools.lru_cache(maxsize=1024)
def _tile(
    size: tuple[int, int],
    radius: int,
    fill: Color,
    text: str = "",
    ink: Color = KEY_INK,
    paper: Color = BODY,
) -> "Image.Image":
    """Return a rounded rectangle on its paper, with a text in its middle."""
    from PIL import Image, ImageDraw

    width, height = size
    large = Image.new("RGB", (width * SCALE, height * SCALE), paper)
    corner = (width * SCALE - 1, height * SCALE - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *corner), radius * SCALE, fill)
    tile = large.resize(size, Image.Resampling.BOX)
    _write(tile, width // 2, height // 2, text, _text_size(width, height), ink, "mm")
    return tile


def _text_size(width: int, height: int) -> int:
    """Return the size at which a token's name fits a tile."""
    if height > 50:
        return 26
    if width > 50 and height > 30:
        return 18
    return 13 if width > 34 else 10


def _write(
    image: "Image.Image", x: int, y: int, text: str, size: int, ink: Color, anchor: str
) -> None:
    """Write a text whose anchor, in Pillow's letters, is at (x, y)."""
    left, top, glyphs = _glyphs(text, size, anchor)
    image.paste(ink, (x + left, y + top), glyphs)


@functools.cache
def _pointer() -> "Image.Image":
    """Return a triangle that points upwards as a mask."""
    from PIL import Image, ImageDraw

    large = Image.new("L", (14 * SCALE, 10 * SCALE))
    ImageDraw.Draw(large).polygon(((7 * SCALE, 0), (0, 10 * SCALE), (14 * SCALE, 10 * SCALE)), 255)
    return large.resize((14, 10), Image.Resampling.BOX)


@functools.lru_cache(maxsize=4096)
def _width(text: str) -> int:
    """Return how wide a part of a problem is drawn, in pixels."""
    return round(_font(26).getlength(text))


@functools.lru_cache(maxsize=4096)
def _glyphs(text: str, size: int, anchor: str) -> "tuple[int, int, Image.Image]":
    """Return a text as a mask, and where its upper left corner is, seen from the anchor."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = _font(size).getbbox(text, anchor=anchor)
    left, top = math.floor(left), math.floor(top)
    mask = Image.new("L", (math.ceil(right) - left, math.ceil(bottom) - top))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, _font(size), anchor)
    return left, top, mask


@functools.cache
def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size)
