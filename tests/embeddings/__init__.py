"""sentence-transformers as an engine, in an environment that has it."""
