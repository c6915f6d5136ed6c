"""llama.cpp through llama-cpp-python's low-level API: one decoding thread, many sequences."""
