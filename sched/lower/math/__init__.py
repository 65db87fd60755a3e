"""Elementary functions as arithmetic: one algorithm a function and type, the same for scalars and vectors."""
