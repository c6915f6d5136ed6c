"""How each family of models writes calls: one module a family, which registers it."""
