"""Prompts on disk: what an engine has read, kept over its worker's end."""
