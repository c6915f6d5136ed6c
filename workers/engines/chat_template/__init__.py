"""Chat templates: messages to the prompt that the model was trained on, and what wrote it."""
