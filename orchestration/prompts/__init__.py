"""The prompts of the steps: their templates, and what each says of the plan."""
