"""The vocabulary: 18 tokens, which are the actions and, with the stage, all that an agent sees.

Tokens 0 to 9 are the digits themselves. Digits, ``[CTX]`` and ``[EOS]`` are legal actions that
change nothing but cost a step.
"""

CTX = 10  # ends the digits shown, and is the "previous token" of a new episode
MUL = 11
ADD = 12
SUB = 13
ANS = 14  # ends the episode and submits the accumulator
STO = 15
RCL = 16
EOS = 17  # pads the context

N_TOKENS = 18
TOOL_TOKENS = (MUL, ADD, SUB, STO, RCL)  # the tokens that can change the machine
TOOLS_WITHOUT_REGISTER = (MUL, ADD, SUB)

TOKEN_TEXTS = (
    *(str(digit) for digit in range(10)),
    "[CTX]",
    "[MUL]",
    "[ADD]",
    "[SUB]",
    "[ANS]",
    "[STO]",
    "[RCL]",
    "[EOS]",
)


def token_name(token: int) -> str:
    """Return a token's text without brackets, for lines that people read: ``MUL``, ``7``."""
    return TOKEN_TEXTS[token].strip("[]")
