"""The families: one module each, which registers what it defines."""
