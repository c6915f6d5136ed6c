"""The prompts of the steps: their templates, and what each tells of the plan."""
