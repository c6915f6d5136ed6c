"""The tokenizer: one process that counts for every model, with vocabularies and without weights."""
