"""WHAT: element types, expressions, tensors, definitions, reductions and their NumPy reference."""
