"""Files of weights: what they are, without loading them."""
