"""When two tokens are as good as each other."""

#: Prefill, decode and batches of other shapes differ in the last bits, and a near tie may fall
#: either way; the bound is the one of the project's architecture page.
NEAR_TIE = 0.1
